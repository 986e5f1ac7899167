"""Export a trained model as a version that a server can load."""

from dataclasses import dataclass
from pathlib import Path

from tfs.exporters.checking import check_servable
from tfs.exporters.options import ExportOptions
from tfs.exporters.sources.kinds import open_source
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.publishing import publish_directory
from tfs.savedmodel.reading import Signature, read_signatures

__all__ = ["ExportedVersion", "export", "next_version", "write_servable"]


@dataclass(frozen=True)
class ExportedVersion:
    """What an export has written.

    Attributes:
        path: the version directory.
        version: its number.
        signatures: by name, as a server will see them.
        size: bytes of all files.
    """

    path: Path
    version: int
    signatures: dict[str, Signature]
    size: int


def next_version(base: Path) -> int:
    """Return one more than the highest number that an entry of the base path has as its name; 1 if there is none."""
    if not base.is_dir():
        return 1
    # Entries without a saved_model.pb count too: a number that stands for something else must not be taken.
    numbers = [int(path.name) for path in base.iterdir() if path.name.isascii() and path.name.isdecimal()]
    return max(numbers, default=0) + 1


def export(options: ExportOptions, base: Path, version: int | None = None) -> ExportedVersion:
    """Write `<base>/<version>/` from a trained model, complete and checked, or nothing at all.

    Args:
        options: the model and its signatures.
        base: the base path; it is made if it does not exist.
        version: the version's number; None for one more than the highest.

    Raises:
        TfsError: the version exists, the source gives no model, a signature's function fails, or what was written
            cannot be served.
    """
    number = next_version(base) if version is None else version
    target = base / str(number)
    if target.exists():
        raise TfsError(f"`{target}` exists already", "choose another --version or `--version auto`")
    with publish_directory(target) as directory:
        write_servable(options, directory)
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    return ExportedVersion(target, number, read_signatures(target), size)


def write_servable(options: ExportOptions, directory: Path) -> None:
    """Write a trained model as a SavedModel into an empty directory, load it and run it as a server does.

    Raises:
        TfsError: as for `export`.
    """
    open_source(options).write(directory, options)
    check_servable(directory)
