"""Versions behind a URL (s3://, gs://, and whatever else fsspec reaches), and their copies on the local disk."""

import logging
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.remote_view import told_of
from tfs.serve.local_cache import LocalCache
from tfs.serve.source import SAVED_MODEL_FILES, Found, no_model_in, version_number
from tfs.serve.version_policy import VersionPolicy

__all__ = ["RemoteStorage"]

_logger = logging.getLogger(__name__)


class RemoteStorage:
    """Finds versions by one list call per look, and keeps copies of those in use.

    Args:
        cache: where the copies lie.
        files: a directory that has one of them holds a model.
    """

    def __init__(self, cache: LocalCache, files: Sequence[str] = SAVED_MODEL_FILES) -> None:
        self._cache = cache
        self._files = files
        self._complete: set[str] = set()
        self._copies: dict[str, _Copy] = {}
        self._changing = threading.Lock()

    def find(self, base_url: str, policy: VersionPolicy) -> Found:
        """Return the versions below `base_url`.

        A version that the policy chooses is looked into until it holds a model, and ignored before: an object
        store has no rename that would make it appear as a whole.

        Raises:
            TfsError: `base_url` cannot be listed.
        """
        with _told(f"cannot list the base path `{base_url}`", base_url):
            file_system, path = _file_system(base_url)
            # Another process writes there, so what was listed before says nothing.
            file_system.invalidate_cache()
            entries = file_system.ls(path, detail=True)
            names = [PurePosixPath(entry["name"]).name for entry in entries if entry["type"] == "directory"]
            found = Found()
            for name in sorted(names, key=lambda name: (len(name), name)):
                version = version_number(name)
                if version is not None:
                    found.paths.setdefault(version, f"{base_url.rstrip('/')}/{name}")
            while incomplete := [
                v for v in policy.aspired(found.paths.keys()) if not self._is_complete(found.paths[v])
            ]:
                for version in incomplete:
                    found.ignored.append(no_model_in(found.paths.pop(version), self._files))
            return found

    def _is_complete(self, url: str) -> bool:
        if url not in self._complete:
            file_system, path = _file_system(url)
            if not any(file_system.exists(f"{path}/{name}") for name in self._files):
                return False
            self._complete.add(url)
        return True

    def fetch(self, url: str) -> str:
        """Return the directory of a copy of the version at `url`; `release` gives it back.

        Raises:
            TfsError: it cannot be downloaded as a whole, or does not fit on the disk.
        """
        with self._changing:
            copy = self._copies.setdefault(url, _Copy())
            copy.users += 1
        try:
            # Others who want the same version wait here for the one who downloads it.
            with copy.downloading:
                if copy.path is None:
                    with _told(f"cannot download `{url}`", url):
                        copy.path = self._download(url)
                return copy.path
        except BaseException:
            self.release(url)
            raise

    def release(self, url: str) -> None:
        """Give a copy back; when nobody uses it any more it is deleted."""
        with self._changing:
            copy = self._copies[url]
            copy.users -= 1
            if copy.users == 0:
                del self._copies[url]
                self._complete.discard(url)
                if copy.path is not None:
                    shutil.rmtree(copy.path, ignore_errors=True)

    def _download(self, url: str) -> str:
        file_system, root = _file_system(url)
        files: dict[str, Any] = file_system.find(root, detail=True)

        def write(directory: Path) -> None:
            for path, info in files.items():
                local = _below(directory, path.removeprefix(root).lstrip("/"))
                local.parent.mkdir(parents=True, exist_ok=True)
                file_system.get_file(path, str(local))
                if info["size"] not in (None, local.stat().st_size):
                    raise TfsError(f"`{path}` changed while it was downloaded")

        started = time.monotonic()
        size = sum(info["size"] or 0 for info in files.values())
        directory = self._cache.add(size, write)
        _logger.info(
            "downloaded `%s`: %d files, %.1f MB, %.2f s", url, len(files), size / 1e6, time.monotonic() - started
        )
        return directory


class _Copy:
    def __init__(self) -> None:
        self.users = 0
        self.path: str | None = None
        self.downloading = threading.Lock()


def _below(directory: Path, name: str) -> Path:
    # A key of an object store may be anything, `../../etc/passwd` too.
    if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
        raise TfsError(f"`{name}` is no name of a file in a SavedModel")
    return directory / name


def _file_system(url: str) -> tuple[Any, str]:
    import fsspec.core

    file_system, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    return file_system, path.rstrip("/")


@contextmanager
def _told(what: str, url: str) -> Iterator[None]:
    """Turn whatever a file system raises into one line; what is not there is no base path."""
    with told_of(what, url):
        try:
            yield
        except FileNotFoundError as error:
            raise TfsError(f"{what}: there is nothing", "it is the URL above the versions") from error
