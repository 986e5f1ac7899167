"""Publish a version below a base path, local or remote: whoever looks sees all of it or nothing."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from google.protobuf import text_format

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.publishing import publish_directory, replace_directory
from tfs.savedmodel.reading import read_saved_model
from tfs.savedmodel.remote_view import is_url, told_of

__all__ = ["StagedVersion", "VersionChoice", "publish_version", "write_as_text"]

VersionChoice = int | Literal["auto", "timestamp"]

# Once a version has one of them, a server that polls the storage loads it.
_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")


@dataclass(frozen=True)
class StagedVersion:
    """A version that is being written.

    Attributes:
        path: of the version when it has been published; a string if it is a URL.
        number: of the version.
        directory: where it is to be written; empty.
    """

    path: Path | str
    number: int
    directory: Path


@contextmanager
def publish_version(
    base: Path | str, version: VersionChoice = "auto", *, overwrite: bool = False
) -> Iterator[StagedVersion]:
    """Yield where to write a version; it appears as `<base>/<number>` when the block ends well, else nothing does.

    A local version appears by one rename. Object stores have none: there `saved_model.pb` is uploaded last, since
    servers ignore a version without it, and it is the first that goes when a version is replaced.

    Args:
        base: a path, made if it does not exist, or a URL.
        version: a number; `auto` is one more than the highest, `timestamp` the seconds since 1970.
        overwrite: replace a version that exists.

    Raises:
        TfsError: the version exists, or nothing can be written there.
    """
    place: _Folder | _Remote = _Remote(str(base)) if is_url(str(base)) else _Folder(Path(base))
    number = _number(version, place)
    exists = place.has(number)
    if exists and not overwrite:
        raise TfsError(f"`{place.path_of(number)}` exists already", "another --version, or --overwrite")
    with place.staged(number, exists) as directory:
        yield StagedVersion(place.path_of(number), number, directory)


def write_as_text(directory: Path) -> None:
    """Replace `saved_model.pb` of a version directory by `saved_model.pbtxt`."""
    text = text_format.MessageToString(read_saved_model(directory))
    (directory / "saved_model.pbtxt").write_text(text, encoding="utf-8")
    (directory / "saved_model.pb").unlink()


def _number(version: VersionChoice, place: "_Folder | _Remote") -> int:
    if version == "timestamp":
        return int(time.time())
    if version == "auto":
        # Entries without a saved_model.pb count too: a number that stands for something else must not be taken.
        return max((int(name) for name in place.names() if name.isascii() and name.isdecimal()), default=0) + 1
    return version


class _Folder:
    def __init__(self, base: Path) -> None:
        self._base = base

    def path_of(self, number: int) -> Path:
        return self._base / str(number)

    def names(self) -> list[str]:
        return [path.name for path in self._base.iterdir()] if self._base.is_dir() else []

    def has(self, number: int) -> bool:
        return (self._base / str(number)).exists()

    @contextmanager
    def staged(self, number: int, exists: bool) -> Iterator[Path]:
        publish = replace_directory if exists else publish_directory
        with publish(self._base / str(number)) as directory:
            yield directory


class _Remote:
    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")
        with told_of(f"cannot write to `{base}`", base):
            import fsspec.core

            self._file_system, self._root = fsspec.core.url_to_fs(self._base, use_listings_cache=False)

    def path_of(self, number: int) -> str:
        return f"{self._base}/{number}"

    def names(self) -> list[str]:
        with told_of(f"cannot list `{self._base}`", self._base):
            try:
                entries = self._file_system.ls(self._root, detail=False)
            except FileNotFoundError:
                return []
            return [PurePosixPath(entry).name for entry in entries]

    def has(self, number: int) -> bool:
        with told_of(f"cannot list `{self._base}`", self._base):
            return bool(self._file_system.find(f"{self._root}/{number}"))

    @contextmanager
    def staged(self, number: int, exists: bool) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="tfs-upload-") as folder:
            directory = Path(folder)
            yield directory
            url = self.path_of(number)
            with told_of(f"cannot write `{url}`", url):
                self._upload(directory, f"{self._root}/{number}", replaces=exists)

    def _upload(self, directory: Path, root: str, *, replaces: bool) -> None:
        files = [file for file in directory.rglob("*") if file.is_file()]
        files.sort(key=lambda file: file.parent == directory and file.name in _MODEL_FILES)
        names = [f"{root}/{file.relative_to(directory).as_posix()}" for file in files]
        if replaces:
            self._remove(root)
        elif self._file_system.find(root):
            raise TfsError(f"`{root}` was written by someone else meanwhile", "run the command again")
        try:
            for file, name in zip(files, names, strict=True):
                self._file_system.put_file(str(file), name)
        except BaseException:
            self._remove(root)
            raise

    def _remove(self, root: str) -> None:
        present = self._file_system.find(root)
        models = [name for name in present if PurePosixPath(name).name in _MODEL_FILES]
        for name in (*models, *(name for name in present if name not in models)):
            self._file_system.rm_file(name)
