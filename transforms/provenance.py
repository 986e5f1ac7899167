"""Where a version comes from: what was done to it, in a file that travels with it."""

import json
from pathlib import Path
from typing import Any

from tfs.savedmodel.errors import TfsError

__all__ = ["add_provenance"]

_FILE = Path("assets.extra", "provenance.json")


def add_provenance(directory: Path, transforms: str) -> None:
    """Append what `tfs optimize` did to the list in `assets.extra/provenance.json` of a version directory.

    There is no date in it: the same model and transforms give the same files.

    Raises:
        TfsError: the file is there and holds no JSON list, or cannot be written.
    """
    from importlib.metadata import version

    file = directory / _FILE
    entry = {
        "command": "tfs optimize",
        "tfs": version("tfs"),
        "tensorflow": version("tensorflow"),
        "transforms": " ".join(transforms.split()),
    }
    try:
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps([*_entries(file), entry], indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise TfsError(f"`{file}` cannot be written: {error.strerror}") from error


def _entries(file: Path) -> list[Any]:
    if not file.exists():
        return []
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TfsError(f"`{file}` is no JSON: {error}", "remove it") from error
    if not isinstance(entries, list):
        raise TfsError(f"`{file}` holds no list", "remove it")
    return entries
