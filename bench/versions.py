"""A base path to which versions are added while a server serves it."""

import os
import re
import shutil
import time
from pathlib import Path

from models import Model
from server import Server

__all__ = ["Versions"]

_TIMEOUT = 120.0
_POLL = 0.005


class Versions:
    """A base path that begins with version 1 of the model; further versions are links to the same files.

    Attributes:
        model: the model with the new base path.
    """

    def __init__(self, model: Model, folder: Path) -> None:
        self._source = model.base_path / "1"
        self.model = Model(model.name, folder / model.name, model.inputs, model.outputs)
        self.model.base_path.mkdir()
        self._add(1)

    def swap(self, server: Server, version: int) -> tuple[float, float]:
        """Add the version, wait until the one before is unloaded; return when the load began and when that was.

        Both in seconds since the epoch, as seen in the server's log.
        """
        seen = len(server.log)
        self._add(version)
        began = _wait_for(server, rf"version {version}: START -> LOADING", seen)
        ended = _wait_for(server, rf"version {version - 1}: UNLOADING -> END", seen)
        # Else the folder grows with each version, and the source reads it.
        shutil.rmtree(self.model.base_path / str(version - 1))
        return began, ended

    def _add(self, version: int) -> None:
        hidden = self.model.base_path / f".{version}.tmp"
        # A version whose files are hard links takes neither time nor the page cache of another copy.
        shutil.copytree(self._source, hidden, copy_function=os.link)
        hidden.rename(self.model.base_path / str(version))


def _wait_for(server: Server, pattern: str, seen: int) -> float:
    deadline = time.monotonic() + _TIMEOUT
    while not any(re.search(pattern, line) for line in server.log[seen:]):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the server did not log `{pattern}` within {_TIMEOUT:.0f} s")
        time.sleep(_POLL)
    return time.time()
