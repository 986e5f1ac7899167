"""A version behind a URL as a local directory, without its weights."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.tflite_file import TFLITE_FILE

__all__ = ["is_url", "local_view", "told_of"]

# Where fsspec's own message names the package that is missing, but not how it is installed here.
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}


def is_url(location: str) -> bool:
    """Tell whether a location is a URL as `s3://bucket/model/1`, and not a local path."""
    return "://" in location


@contextmanager
def local_view(location: str) -> Iterator[Path]:
    """Yield a local path that can be described in place of a location; a local one is yielded as it is.

    Of a remote version the small files are copied for as long as the block lasts. The values of the variables and the
    assets are files of the right size with holes in place of their content, which takes neither time nor disk space.

    Raises:
        TfsError: the URL cannot be read.
    """
    if not is_url(location):
        yield Path(location)
        return
    with tempfile.TemporaryDirectory(prefix="tfs-inspect-") as folder:
        with told_of(f"cannot read `{location}`", location):
            view = _copy(location, Path(folder))
        yield view


@contextmanager
def told_of(what: str, url: str) -> Iterator[None]:
    """Turn what a file system raises into one line that begins with `what`: each of them has errors of its own.

    Raises:
        TfsError: whatever went wrong.
    """
    try:
        yield
    except TfsError:
        raise
    except ImportError as error:
        extra = _EXTRAS.get(url.partition("://")[0])
        raise TfsError(f"{what}: {error}", f"pip install 'tfs[{extra}]'" if extra else "install it") from error
    except Exception as error:
        raise TfsError(f"{what}: {type(error).__name__}: {error}") from error


def _copy(location: str, folder: Path) -> Path:
    import fsspec

    file_system, root = fsspec.core.url_to_fs(location)
    root = root.rstrip("/")
    target = folder / PurePosixPath(root).name
    if file_system.isfile(root):
        file_system.get_file(root, str(target))
        return target
    sizes = file_system.find(root, detail=True)
    if not sizes:
        raise TfsError(f"`{location}` does not exist or is empty", "name the directory that holds saved_model.pb")
    names = {PurePosixPath(path).relative_to(root): entry for path, entry in sizes.items()}
    if not any(str(name) in ("saved_model.pb", "saved_model.pbtxt", TFLITE_FILE) for name in names):
        found = sorted({name.parts[0] for name in names if len(name.parts) > 1 and name.parts[0].isdecimal()}, key=int)
        raise TfsError(
            f"`{location}` is no SavedModel: it holds no saved_model.pb or saved_model.pbtxt",
            f"name a version: {location.rstrip('/')}/{found[-1]}" if found else "",
        )
    for name, entry in names.items():
        _fetch(file_system, entry, name, target)
    return target


def _fetch(file_system: Any, entry: dict[str, Any], name: PurePosixPath, target: Path) -> None:
    local = target.joinpath(*name.parts)
    local.parent.mkdir(parents=True, exist_ok=True)
    if name.parts[0] == "assets" or ".data-" in name.name:
        local.touch()
        os.truncate(local, entry["size"])
        return
    with file_system.open(entry["name"], "rb") as source, local.open("wb") as copy:
        shutil.copyfileobj(source, copy)
