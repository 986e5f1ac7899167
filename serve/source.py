"""Polls base paths and says which versions ought to be served; what is absent from what it says is to be unloaded."""

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tfs.savedmodel.errors import TfsError
from tfs.serve.config import ModelConfig

__all__ = [
    "SAVED_MODEL_FILES",
    "TFLITE_FILE",
    "Found",
    "Source",
    "find_versions",
    "is_tflite",
    "no_model_in",
    "version_number",
]

_logger = logging.getLogger(__name__)

SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
TFLITE_FILE = "model.tflite"
# Version numbers are int64 in every protocol.
_MAX_VERSION = 2**63 - 1


@dataclass
class Found:
    """What lies under a base path.

    Args:
        paths: version -> directory.
        ignored: one line for each entry that looks like a version and is none.
    """

    paths: dict[int, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)


def find_versions(base_path: str, files: Sequence[str] = SAVED_MODEL_FILES) -> Found:
    """Return the versions under `base_path`: directories named by a decimal number (007 is 7) that hold a model.

    Of several names for one number the shortest is used.

    Args:
        base_path: a local directory.
        files: a directory that has one of them holds a model.

    Raises:
        TfsError: the base path does not exist, cannot be listed, or is itself a model.
    """
    try:
        names = os.listdir(base_path)
    except OSError as error:
        raise TfsError(
            f"cannot list the base path `{base_path}`: {error.strerror}", "it is the directory that holds the versions"
        ) from error
    found = Found()
    for name in sorted(names, key=lambda name: (len(name), name)):
        path, version = os.path.join(base_path, name), version_number(name)
        if version is None:
            continue
        if not any(os.path.isfile(os.path.join(path, file)) for file in files):
            found.ignored.append(no_model_in(path, files))
        elif version in found.paths:
            found.ignored.append(f"`{path}` is ignored: `{found.paths[version]}` is version {version} too")
        else:
            found.paths[version] = path
    if not found.paths and not set(names).isdisjoint(files):
        kind = "TFLite model" if set(names).isdisjoint(SAVED_MODEL_FILES) else "SavedModel"
        raise TfsError(
            f"the base path `{base_path}` is a {kind}, not a directory of versions",
            _hint_for_model(base_path),
        )
    return found


def no_model_in(path: str, files: Sequence[str]) -> str:
    """Say that a directory is no version, since it has none of the files that would make it one."""
    # The text form is too rare to be worth a word.
    names = [file for file in files if file != "saved_model.pbtxt"]
    return f"`{path}` is ignored: it holds no {' or '.join(names)}"


def _hint_for_model(path: str) -> str:
    parent, name = os.path.split(os.path.normpath(path))
    if version_number(name) is not None:
        return f"give its parent: --model_base_path={parent}"
    return f"move it to `{os.path.join(path, '1')}`"


def is_tflite(directory: str, files: Sequence[str]) -> bool:
    """Say whether the version in `directory` is served as a TFLite model, where these files make a version."""
    return TFLITE_FILE in files and os.path.isfile(os.path.join(directory, TFLITE_FILE))


def version_number(name: str) -> int | None:
    """Return the version that a directory of this name holds, None if it holds none."""
    # isdecimal() alone would let other scripts' digits through.
    if name.isascii() and name.isdecimal() and int(name) <= _MAX_VERSION:
        return int(name)
    return None


class Source:
    """Tells `aspire(model, {version: path})` for each model, at every poll, which versions ought to be served.

    Args:
        find: returns the versions of a model, or raises TfsError if its base path cannot be listed.
        aspire: called with each model's aspired versions.
        wait_seconds: the pause between two polls; 0 polls exactly once per config, less than 0 never.
    """

    def __init__(
        self,
        find: Callable[[ModelConfig], Found],
        aspire: Callable[[str, Mapping[int, str]], None],
        wait_seconds: float,
    ) -> None:
        self._find = find
        self._aspire = aspire
        self._wait_seconds = wait_seconds
        self._models: Sequence[ModelConfig] = ()
        self._polling = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tfs-source", daemon=True)
        self._said: set[str] = set()

    def replace(self, models: Sequence[ModelConfig]) -> None:
        """Look after these models from now on, and poll at once; a model that is gone has no aspired versions left.

        Raises:
            TfsError: a base path cannot be listed; nothing has changed.
        """
        with self._polling:
            found = self._look(models)
            gone = {model.name for model in self._models} - {model.name for model in models}
            self._models = models
            for name in sorted(gone):
                self._aspire(name, {})
            self._tell(found)

    def poll_once(self) -> None:
        """Look at every base path, then tell the aspired versions of all models.

        Raises:
            TfsError: a base path cannot be listed; nothing has been told for any model.
        """
        with self._polling:
            self._tell(self._look(self._models))

    def start(self) -> None:
        """Poll on a thread of its own as often as `wait_seconds` says."""
        if self._wait_seconds < 0:
            _logger.warning("no base path is ever looked at, since the pause between two looks is negative")
        elif self._wait_seconds > 0:
            self._thread.start()

    def stop(self) -> None:
        """End the polling; a poll under way is waited for."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _look(self, models: Sequence[ModelConfig]) -> list[tuple[ModelConfig, Found]]:
        if self._wait_seconds < 0:
            return []
        return [(model, self._find(model)) for model in models]

    def _tell(self, found: Sequence[tuple[ModelConfig, Found]]) -> None:
        self._warn([line for model, versions in found for line in _remarks(model, versions)])
        for model, versions in found:
            aspired = model.version_policy.aspired(versions.paths.keys())
            self._aspire(model.name, {version: versions.paths[version] for version in aspired})

    def _run(self) -> None:
        while not self._stopped.wait(self._wait_seconds):
            try:
                self.poll_once()
            except TfsError as error:
                self._warn([f"nothing is changed: {error.message}"], logging.ERROR)

    def _warn(self, lines: list[str], level: int = logging.WARNING) -> None:
        # Every poll finds the same; only what is new is worth a line.
        for line in lines:
            if line not in self._said:
                _logger.log(level, "%s", line)
        self._said = set(lines)


def _remarks(model: ModelConfig, found: Found) -> list[str]:
    remarks = [f"{model.name}: {line}" for line in found.ignored]
    if not found.paths:
        example = f"{model.base_path.rstrip('/')}/1/saved_model.pb"
        remarks.append(f"{model.name}: there is no version to serve yet; the server waits for one, such as `{example}`")
    elif not model.version_policy.aspired(found.paths.keys()):
        remarks.append(f"{model.name}: the version policy allows none of the versions {sorted(found.paths)}")
    return remarks
