"""Export a Keras model as a version that a server can load."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.exporters.checking import check_servable
from tfs.exporters.signatures import signature_functions
from tfs.exporters.sources import load_model
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.publishing import publish_directory
from tfs.savedmodel.reading import Signature, read_signatures

__all__ = ["ExportedVersion", "export_keras", "next_version"]


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


def export_keras(
    source: str, base: Path, *, version: int | None = None, signatures: dict[str, str] | None = None
) -> ExportedVersion:
    """Write `<base>/<version>/` from a Keras model, complete and checked, or nothing at all.

    Each variable is written once, and the version is loaded and run as a server does before it appears.

    Args:
        source: what `tfs.exporters.sources.load_model` takes.
        base: the base path; it is made if it does not exist.
        version: the version's number; None for one more than the highest.
        signatures: signature name -> `pkg.mod:fn`, see `tfs.exporters.signatures.signature_functions`.

    Raises:
        TfsError: the version exists, the source gives no Keras model, a signature's function fails, or what was
            written cannot be served.
    """
    number = next_version(base) if version is None else version
    target = base / str(number)
    if target.exists():
        raise TfsError(f"`{target}` exists already", "choose another --version or `--version auto`")
    model = load_model(source)
    functions = signature_functions(model, signatures or {})

    with publish_directory(target) as directory:
        _write(model, functions, directory)
        check_servable(directory)
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    return ExportedVersion(target, number, read_signatures(target), size)


def _write(model: Any, functions: dict[str, Any], directory: Path) -> None:
    import keras
    import tensorflow as tf

    # The archive finds the variables that the functions read by itself, but not the tables. Tracking the model
    # directly would put every variable into the checkpoint a second time, as Keras' own wrapper of it.
    tables = tf.Module()
    tables.model = model
    archive = keras.export.ExportArchive()
    archive.track(tables)
    for name, function in functions.items():
        archive.add_endpoint(name, function)
    try:
        archive.write_out(str(directory), verbose=False)
    except (AssertionError, TypeError, ValueError) as error:  # what TensorFlow says of a graph it cannot save
        raise TfsError(f"the model cannot be saved: {error}", "tfs --debug shows where") from error
