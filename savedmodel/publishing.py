"""Write a directory so that nobody ever sees half of it."""

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfs.savedmodel.errors import TfsError

__all__ = ["publish_directory", "replace_directory"]

# Of Linux' renameat2.
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def publish_directory(target: Path) -> Iterator[Path]:
    """Yield an empty sibling `.<name>.tmp-*` of `target` that becomes `target` when the block ends well.

    Folders above `target` are made. If the block fails, nothing of it stays. A polling server ignores the sibling: its
    name is no number.

    Raises:
        TfsError: `target` exists, or the folder cannot be written to.
    """
    if target.exists():
        raise TfsError(f"`{target}` exists already", "choose another one, or remove it first")
    try:
        made = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.tmp-", dir=target.parent))
    except OSError as error:
        raise TfsError(f"`{target}` cannot be written: {error.strerror}") from error
    try:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp's 0700 would lock a server of another user out
        if target.exists():  # a rename would replace an empty directory without a word
            raise TfsError(f"`{target}` was written by someone else meanwhile", "run the command again")
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        _remove_if_empty(made)
        raise


@contextmanager
def replace_directory(target: Path) -> Iterator[Path]:
    """Yield an empty sibling `.<name>.tmp-*` of `target` that takes its place, in one step, when the block ends well.

    If the block fails, nothing of the sibling stays and `target` is as it was.

    Raises:
        TfsError: the file system refuses.
    """
    try:
        directory = Path(tempfile.mkdtemp(prefix=f".{target.name}.tmp-", dir=target.parent))
    except OSError as error:
        raise TfsError(f"nothing can be written to `{target.parent}`: {error.strerror}") from error
    try:
        yield directory
        directory.chmod(0o755)  # mkdtemp's 0700 would lock a server of another user out
        if not _exchange(directory, target):
            # No such call here: for a moment there is nothing under the name.
            with tempfile.TemporaryDirectory(prefix=f".{target.name}.tmp-", dir=target.parent) as aside:
                target.rename(Path(aside) / target.name)
                directory.rename(target)
    except OSError as error:
        raise TfsError(f"`{target}` cannot be replaced: {error.strerror}") from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two directories in one step, where the C library can (Linux)."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    status = rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return bool(status == 0)


def _remove_if_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
