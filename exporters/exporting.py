"""Export a trained model as a version that a server can load."""

from dataclasses import dataclass
from pathlib import Path

from tfs.exporters.checking import check_servable
from tfs.exporters.options import ExportOptions
from tfs.exporters.provenance import write_provenance
from tfs.exporters.sources.input_specs import read_sample
from tfs.exporters.sources.kinds import open_source
from tfs.savedmodel.protos import saved_model_pb2
from tfs.savedmodel.reading import SERVE_TAG, Signature, read_signatures
from tfs.savedmodel.version_publishing import VersionChoice, publish_version, write_as_text

__all__ = ["ExportedVersion", "export", "finish", "write_servable"]


@dataclass(frozen=True)
class ExportedVersion:
    """What an export has written.

    Attributes:
        path: the version directory; a string if it is a URL.
        version: its number.
        signatures: by name, as a server will see them.
        size: bytes of all files.
    """

    path: Path | str
    version: int
    signatures: dict[str, Signature]
    size: int


def export(
    options: ExportOptions, base: Path | str, version: VersionChoice = "auto", *, overwrite: bool = False
) -> ExportedVersion:
    """Write `<base>/<version>/` from a trained model, complete and checked, or nothing at all.

    Args:
        options: the model and its signatures.
        base: the base path, or its URL; it is made if it does not exist.
        version: the version's number, or how it is found.
        overwrite: replace the version if it exists.

    Raises:
        TfsError: the version exists, the source gives no model, a signature's function fails, or what was written
            cannot be served.
    """
    with publish_version(base, version, overwrite=overwrite) as staged:
        write_servable(options, staged.directory)
        signatures = read_signatures(staged.directory)
        finish(options, staged.directory)
        size = sum(file.stat().st_size for file in staged.directory.rglob("*") if file.is_file())
    return ExportedVersion(staged.path, staged.number, signatures, size)


def write_servable(options: ExportOptions, directory: Path) -> None:
    """Write a trained model as a SavedModel into an empty directory; load and run it as a server does.

    It is binary and has the tag `serve`, as whatever works on it further expects; `finish` makes it what was asked for.

    Raises:
        TfsError: as for `export`.
    """
    open_source(options).write(directory, options)
    check_servable(directory, {} if options.sample is None else read_sample(options.sample))
    write_provenance(options, directory)


def finish(options: ExportOptions, directory: Path) -> None:
    """Give a SavedModel its tags, and write it as text, if the options say so."""
    if options.tags == [SERVE_TAG] and not options.as_text:
        return
    file = directory / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    saved_model.meta_graphs[0].meta_info_def.tags[:] = options.tags
    file.write_bytes(saved_model.SerializeToString(deterministic=True))
    (directory / "fingerprint.pb").unlink(missing_ok=True)  # of the file as it was
    if options.as_text:
        write_as_text(directory)
