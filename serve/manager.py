"""The manager: carries out, one action at a time, what the transition policy makes of the aspired versions.

One thread decides; each load and each unload runs on a thread of its own, so that a slow one holds up nobody else.
Everything that is known stands behind one lock; the engine's blocking calls are made outside of it.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tfs.savedmodel.errors import TfsError
from tfs.serve._engine import EngineError
from tfs.serve.codes import Code
from tfs.serve.data_plane import DataPlane, Loaded, VersionError
from tfs.serve.lifecycle import ModelVersions, Version
from tfs.serve.load_errors import remedy
from tfs.serve.states import State, VersionStatus
from tfs.serve.transition_policy import Action, Kind, TransitionPolicy, availability_preserving

__all__ = ["LoadOptions", "Manager", "StoppedError"]

_logger = logging.getLogger(__name__)


class StoppedError(TfsError):
    """What was waited for will not happen, since the manager has been stopped."""

    def __init__(self) -> None:
        super().__init__("the server is stopping")


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How versions are loaded and unloaded.

    Args:
        transition: in which order the versions of a model change over.
        tags: tags of the meta graph.
        warmup: whether the warm-up records are replayed before a version becomes available.
        warmup_iterations: how often each record is replayed.
        max_retries: further attempts after a failed load.
        retry_seconds: the pause before each of them.
        load_threads: loads at a time; 0 is one.
        unload_threads: unloads at a time; 0 is one.
    """

    transition: TransitionPolicy = availability_preserving
    tags: Sequence[str] = ("serve",)
    warmup: bool = True
    warmup_iterations: int = 1
    max_retries: int = 5
    retry_seconds: float = 60.0
    load_threads: int = 0
    unload_threads: int = 0


class Manager:
    """Loads what is aspired and unloads what no longer is; keeps the engine's routes and published states true.

    Until `end_first_load` four loads per CPU may run at a time, after it as many as the options say. All methods may be
    called from any thread.

    Args:
        engine: the data plane.
        options: how to load and unload.
    """

    def __init__(self, engine: DataPlane, options: LoadOptions) -> None:
        self._engine = engine
        self._options = options
        self._models: dict[str, ModelVersions] = {}
        self._configured: frozenset[str] = frozenset()
        self._changed = threading.Condition()
        self._slots = {Kind.LOAD: 4 * (os.cpu_count() or 1), Kind.UNLOAD: max(options.unload_threads, 1)}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="tfs-manager", daemon=True)

    def start(self) -> None:
        """Begin to carry out what has been aspired."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no more loads or unloads; one under way goes on, and the versions loaded stay. Nobody waits longer."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def set_aspired(self, model: str, versions: Mapping[int, str]) -> None:
        """Say which versions of `model` ought to be served (version -> directory); all others are to be unloaded."""
        with self._changed:
            self._model(model).wanted = dict(versions)
            self._changed.notify_all()

    def configure(self, labels: Mapping[str, Mapping[str, int]]) -> None:
        """Say which models there are, and for each which labels requests may use (model -> label -> version)."""
        with self._changed:
            self._configured = frozenset(labels)
            for name in labels.keys() | self._models.keys():
                entry, wanted = self._model(name), dict(labels.get(name, {}))
                if entry.labels != wanted:
                    entry.labels = wanted
                    self._route(entry)
            self._changed.notify_all()

    def available(self) -> dict[str, frozenset[int]]:
        """Return which versions of each model requests reach now."""
        with self._changed:
            return {name: frozenset(entry.available()) for name, entry in self._models.items()}

    def statuses(self, model: str) -> list[VersionStatus]:
        """Return the status of every version that `model` has or had, newest first."""
        with self._changed:
            return self._model(model).statuses()

    def end_first_load(self) -> None:
        """Load with `load_threads` from now on."""
        with self._changed:
            self._slots[Kind.LOAD] += max(self._options.load_threads, 1) - 4 * (os.cpu_count() or 1)

    def wait_until_loaded(self, models: Sequence[str], timeout: float | None = None) -> dict[str, VersionStatus]:
        """Wait until each model has an available version, or none of its aspired versions can be loaded.

        A model that is no longer configured is not waited for.

        Returns:
            For each model that failed its newest version's status; empty if every model can be reached.

        Raises:
            TimeoutError: `timeout` seconds have passed.
            StoppedError: the manager has been stopped before.
        """
        with self._changed:
            entries = [self._model(model) for model in models]
            if not self._changed.wait_for(lambda: self._stopping or all(map(self._is_settled, entries)), timeout):
                raise TimeoutError("not every model has been loaded")
            if self._stopping:
                raise StoppedError
            return {e.name: status for e in entries if not e.available() and (status := e.failed())}

    def _is_settled(self, model: ModelVersions) -> bool:
        return bool(model.available() or model.failed()) or model.name not in self._configured

    def _model(self, name: str) -> ModelVersions:
        return self._models.setdefault(name, ModelVersions(name))

    # Everything below is called with the lock held, except for _load, _unload (threads) and _finish.

    def _run(self) -> None:
        with self._changed:
            while not self._stopping:
                for model in self._models.values():
                    self._take_in(model)
                if not self._act():
                    self._changed.wait(self._seconds_to_next_attempt())

    def _take_in(self, model: ModelVersions) -> None:
        changed = model.take_in()
        for version in changed:
            if version.error_code:
                _log(model, version, "LOADING -> END: given up, since it is no longer wanted", logging.WARNING)
        if changed:
            self._publish(model)

    def _act(self) -> bool:
        """Begin one action for which a thread is free, unloads before loads before further attempts; say whether."""
        actions = [
            (model, action) for model in self._models.values() if (action := self._options.transition(model.snapshot()))
        ]
        for model, action in sorted(actions, key=lambda pair: pair[1].kind is Kind.LOAD):
            if self._slots[action.kind] > 0:
                self._begin(model, action)
                return True
        for model in self._models.values():
            for version in model.versions.values():
                if version.retry_at is not None and version.retry_at <= time.monotonic() and self._slots[Kind.LOAD] > 0:
                    self._begin_load(model, version)
                    return True
        return False

    def _seconds_to_next_attempt(self) -> float | None:
        if self._slots[Kind.LOAD] <= 0:
            return None  # the end of a load wakes the loop
        due = [v.retry_at for model in self._models.values() for v in model.versions.values() if v.retry_at is not None]
        return max(min(due) - time.monotonic(), 0.0) if due else None

    def _begin(self, model: ModelVersions, action: Action) -> None:
        version = model.versions[action.version]
        if action.kind is Kind.LOAD:
            _log(model, version, f"START -> LOADING from {version.path}")
            self._begin_load(model, version)
        else:
            _log(model, version, "AVAILABLE -> UNLOADING")
            self._begin_unload(model, version)

    def _begin_load(self, model: ModelVersions, version: Version) -> None:
        self._slots[Kind.LOAD] -= 1
        version.state, version.retry_at = State.LOADING, None
        version.attempts += 1
        self._publish(model)
        threading.Thread(target=self._load, args=(model, version), name="tfs-load", daemon=True).start()

    def _begin_unload(self, model: ModelVersions, version: Version) -> None:
        self._slots[Kind.UNLOAD] -= 1
        version.state = State.UNLOADING
        # Withdrawn before it stops being true: who reads AVAILABLE can still reach the version.
        self._publish(model)
        self._route(model)
        threading.Thread(target=self._unload, args=(model, version), name="tfs-unload", daemon=True).start()

    def _load(self, model: ModelVersions, version: Version) -> None:
        options, started = self._options, time.monotonic()
        try:
            loaded = self._engine.load(
                model.name,
                version.number,
                version.path,
                tags=options.tags,
                warmup=options.warmup,
                warmup_iterations=options.warmup_iterations,
            )
        except Exception as failure:
            self._finish(Kind.LOAD, partial(self._end_failed_load, model, version, failure))
        else:
            self._finish(Kind.LOAD, partial(self._end_load, model, version, loaded, time.monotonic() - started))

    def _unload(self, model: ModelVersions, version: Version) -> None:
        started = time.monotonic()
        try:
            self._engine.unload(model.name, version.number)
        except Exception as failure:
            self._finish(Kind.UNLOAD, partial(self._end_failed_unload, model, version, failure))
        else:
            self._finish(Kind.UNLOAD, partial(self._end_unload, model, version, time.monotonic() - started))

    def _finish(self, kind: Kind, note: Callable[[], None]) -> None:
        with self._changed:
            self._slots[kind] += 1
            note()
            self._changed.notify_all()

    def _end_load(self, model: ModelVersions, version: Version, loaded: Loaded, seconds: float) -> None:
        if loaded.execution:
            _log(model, version, loaded.execution)
        version.become_available()
        # Published after it is true: who reads AVAILABLE can reach the version.
        self._route(model)
        self._publish(model)
        records = f" ({loaded.warmup_records} warm-up records)" if loaded.warmup_records else ""
        _log(model, version, f"LOADING -> AVAILABLE in {seconds:.2f} s{records}")

    def _end_failed_load(self, model: ModelVersions, version: Version, failure: Exception) -> None:
        version.error_code, version.error_message = _status(failure)
        attempts = self._options.max_retries + 1
        what_to_do = remedy(str(failure), version.path)
        reason = f"{_one_line(failure)} ({what_to_do})" if what_to_do else _one_line(failure)
        cause = f"attempt {version.attempts} of {attempts} to load {version.path} failed: {reason}"
        if version.number in model.wanted and version.attempts < attempts:
            version.retry_at = time.monotonic() + self._options.retry_seconds
            _log(model, version, f"{cause}; next attempt in {self._options.retry_seconds:g} s", logging.WARNING)
            return
        version.end()
        self._publish(model)
        _log(model, version, f"LOADING -> END: {cause}", logging.ERROR)

    def _end_unload(self, model: ModelVersions, version: Version, seconds: float) -> None:
        version.end()
        self._publish(model)
        _log(model, version, f"UNLOADING -> END in {seconds:.2f} s")

    def _end_failed_unload(self, model: ModelVersions, version: Version, failure: Exception) -> None:
        version.error_code, version.error_message = _status(failure)
        version.end()
        self._publish(model)
        _log(model, version, f"UNLOADING -> END: {_one_line(failure)}", logging.ERROR)

    def _route(self, model: ModelVersions) -> None:
        self._engine.route(model.name, model.available(), model.labels)

    def _publish(self, model: ModelVersions) -> None:
        states = [(s.version, int(s.state), s.error_code, s.error_message) for s in model.statuses()]
        self._engine.publish(model.name, states)


def _log(model: ModelVersions, version: Version, text: str, level: int = logging.INFO) -> None:
    subject = {"model": model.name, "version": version.number}
    _logger.log(level, "%s version %d: %s", model.name, version.number, text, extra=subject)


def _status(failure: Exception) -> tuple[int, str]:
    if isinstance(failure, EngineError):
        return failure.code, failure.message
    return failure.code if isinstance(failure, VersionError) else Code.UNKNOWN, _one_line(failure)


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split()) or type(failure).__name__
