"""Where versions lie: on this machine or behind a URL. Whoever loads them sees directories only."""

import logging
import os
from collections.abc import Mapping, Sequence

from tfs.serve.config import ModelConfig
from tfs.serve.data_plane import DataPlane, Loaded
from tfs.serve.load_errors import hidden_defect
from tfs.serve.local_cache import LocalCache
from tfs.serve.remote_storage import RemoteStorage
from tfs.serve.source import SAVED_MODEL_FILES, Found, find_versions, is_tflite

__all__ = ["FetchingDataPlane", "Storage", "base_path_of", "is_remote"]

_logger = logging.getLogger(__name__)

_LOCAL = "file://"


def base_path_of(text: str) -> str:
    """Return a base path as the user wrote it in the form that messages and the storage use: absolute, or a URL."""
    path = text.removeprefix(_LOCAL)
    return path if is_remote(path) else os.path.abspath(path)


def is_remote(path: str) -> bool:
    """Say whether a path is a URL of something else than this machine's disks."""
    return "://" in path and not path.startswith(_LOCAL)


class Storage:
    """Finds versions, and makes remote ones local while they are in use.

    Args:
        cache_path: where copies of remote versions are kept; empty for the system's temporary directory.
        files: a directory that has one of them holds a model.
    """

    def __init__(self, cache_path: str = "", files: Sequence[str] = SAVED_MODEL_FILES) -> None:
        self.files = files
        self._cache = LocalCache(cache_path)
        self._remote = RemoteStorage(self._cache, files)

    def find(self, model: ModelConfig) -> Found:
        """Return the versions of a model.

        Raises:
            TfsError: its base path cannot be listed, or is itself a model.
        """
        if is_remote(model.base_path):
            return self._remote.find(model.base_path, model.version_policy)
        return find_versions(model.base_path.removeprefix(_LOCAL), self.files)

    def fetch(self, path: str) -> str:
        """Return the local directory of a version that `find` has named; `release` follows.

        Raises:
            TfsError: it cannot be downloaded.
        """
        return self._remote.fetch(path) if is_remote(path) else path

    def release(self, path: str) -> None:
        """Say that the directory which `fetch` returned is no longer used."""
        if is_remote(path):
            self._remote.release(path)

    def close(self) -> None:
        """Remove all copies."""
        self._cache.close()


class FetchingDataPlane:
    """A data plane that fetches a version before it is loaded, and releases it once it is unloaded or did not load.

    It warns of a version that has loaded and cannot answer, unless warm-up records have shown that it can.
    """

    def __init__(self, engine: DataPlane, storage: Storage) -> None:
        self._engine = engine
        self._storage = storage
        self._fetched: dict[tuple[str, int], str] = {}

    def load(  # noqa: PLR0913  the engine's own signature
        self, model: str, version: int, path: str, *, tags: Sequence[str], warmup: bool, warmup_iterations: int
    ) -> Loaded:
        """See `DataPlane.load`; `path` may be a URL."""
        directory = self._storage.fetch(path)
        try:
            loaded = self._engine.load(
                model, version, directory, tags=tags, warmup=warmup, warmup_iterations=warmup_iterations
            )
        except BaseException:
            # What was fetched may be the reason: the next attempt fetches it again.
            self._storage.release(path)
            raise
        self._fetched[model, version] = path
        is_checked = loaded.warmup_records or is_tflite(directory, self._storage.files)
        if not is_checked and (defect := hidden_defect(directory, path, tags)):
            _logger.warning("%s version %d: %s", model, version, defect)
        return loaded

    def route(self, model: str, versions: Sequence[int], labels: Mapping[str, int]) -> None:
        """See `DataPlane.route`."""
        self._engine.route(model, versions, labels)

    def publish(self, model: str, states: Sequence[tuple[int, int, int, str]]) -> None:
        """See `DataPlane.publish`."""
        self._engine.publish(model, states)

    def unload(self, model: str, version: int) -> None:
        """See `DataPlane.unload`."""
        self._engine.unload(model, version)
        self._storage.release(self._fetched.pop((model, version)))
