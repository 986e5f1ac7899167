"""A directory for copies that live no longer than this process, even if it is killed."""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tfs.savedmodel.errors import TfsError

__all__ = ["LocalCache"]

_logger = logging.getLogger(__name__)

_PREFIX = "tfs-models-"
_LOCK = "lock"


class LocalCache:
    """Made at the first use, below `parent` or the system's temporary directory; whole copies only.

    The process holds a lock on a file in it as long as it lives. What processes that are gone have left below the same
    parent is removed.
    """

    def __init__(self, parent: str = "") -> None:
        self._parent = Path(parent or tempfile.gettempdir())
        self._lock: int | None = None
        self._directory: Path | None = None

    def add(self, size: int, write: Callable[[Path], None]) -> str:
        """Return a new directory that `write` has filled; nothing is left if that fails.

        Args:
            size: bytes that will be written.
            write: gets an empty directory.

        Raises:
            TfsError: the disk has no room for it, or the cache cannot be made.
        """
        directory = self._directory or self._make()
        free = shutil.disk_usage(directory).free
        if size > free:
            raise TfsError(f"{size:,} bytes do not fit into `{directory}`, which has {free:,} left", "free some space")
        hidden = Path(tempfile.mkdtemp(prefix=".tmp-", dir=directory))
        try:
            write(hidden)
            return str(hidden.rename(directory / hidden.name.removeprefix(".tmp-")))
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise

    def close(self) -> None:
        """Remove everything."""
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _make(self) -> Path:
        try:
            self._parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(self._parent)
            self._directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
            hidden = self._directory / f".{_LOCK}"
            self._lock = os.open(hidden, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            # Nobody may see the file before it is locked.
            hidden.rename(self._directory / _LOCK)
        except OSError as error:
            raise TfsError(
                f"cannot keep copies in `{self._parent}`: {error.strerror}", "see --remote_cache_path"
            ) from error
        return self._directory


def _remove_abandoned(parent: Path) -> None:
    for lock_file in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            lock = os.open(lock_file, os.O_RDWR)
        except OSError:
            continue  # another user's, or just gone
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock_file.parent, ignore_errors=True)
            _logger.info("removed `%s`, which a former server left", lock_file.parent)
        except BlockingIOError:
            pass  # in use
        finally:
            os.close(lock)
