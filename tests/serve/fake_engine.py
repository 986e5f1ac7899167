"""A data plane without models for tests of the scheduler: it fails on demand, counts itself and watches the order."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tfs.serve._engine import EngineError
from tfs.serve.states import State

NOT_FOUND = 5


def engine_error(code: int, message: str) -> EngineError:
    error = EngineError(message)
    error.code, error.code_name, error.message = code, "NOT_FOUND", message
    return error


@dataclass(frozen=True)
class Report:
    warmup_records: int = 3
    execution: str | None = "execution plan caller_intra_1"


class FakeEngine:
    """Keeps what is loaded, routed and published; `violations` lists every call that broke the boundary's rules."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.violations: list[str] = []
        self.loaded: set[tuple[str, int]] = set()
        self.most_loaded = 0
        self.most_loading = 0
        self.routed: dict[str, tuple[int, ...]] = {}
        self.labels: dict[str, dict[str, int]] = {}
        self.published: dict[str, dict[int, tuple[State, int, str]]] = {}
        self._failures: dict[tuple[str, int], int] = {}
        self._held: set[str] = set()
        self._loading = 0
        self._changed = threading.Condition()

    def fail(self, model: str, version: int, times: int = 1_000_000) -> None:
        """Let the next `times` loads of the version fail."""
        self._failures[model, version] = times

    def hold(self, call: str) -> None:
        """Let calls such as `load m 1` block until `release`."""
        with self._changed:
            self._held.add(call)

    def release(self, call: str) -> None:
        with self._changed:
            self._held.discard(call)
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, timeout=10), (self.calls, self.published)

    def wait_for_states(self, model: str, states: Mapping[int, State]) -> None:
        self.wait(lambda: self.states(model) == states)

    def wait_for_call(self, call: str, times: int = 1) -> None:
        self.wait(lambda: self.calls.count(call) >= times)

    def stays(self, condition: Callable[[], bool], seconds: float = 0.1) -> bool:
        """Say whether a condition holds now and all the time for a short while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self._changed:
                if not condition():
                    return False
                self._changed.wait(0.01)
        return True

    def states(self, model: str) -> dict[int, State]:
        return {version: state for version, (state, _, _) in self.published.get(model, {}).items()}

    # The boundary.

    def load(
        self, model: str, version: int, path: str, *, tags: Sequence[str], warmup: bool, warmup_iterations: int
    ) -> Report:
        self._enter(f"load {model} {version}")
        with self._changed:
            self._loading += 1
            self.most_loading = max(self.most_loading, self._loading)
        try:
            self._wait_while_held(f"load {model} {version}")
            with self._changed:
                if self._failures.get((model, version), 0) > 0:
                    self._failures[model, version] -= 1
                    raise engine_error(NOT_FOUND, f"no SavedModel in {path}")
                self._expect((model, version) not in self.loaded, f"{model} {version} is loaded twice")
                self.loaded.add((model, version))
                self.most_loaded = max(self.most_loaded, len(self.loaded))
        finally:
            with self._changed:
                self._loading -= 1
                self._changed.notify_all()
        return Report()

    def route(self, model: str, versions: Sequence[int], labels: Mapping[str, int]) -> None:
        self._enter(f"route {model} {list(versions)}")
        with self._changed:
            for version in versions:
                self._expect((model, version) in self.loaded, f"{model} {version} is routed, but not loaded")
            for version in set(self.routed.get(model, ())) - set(versions):
                state = self.states(model).get(version)
                self._expect(
                    state is State.UNLOADING, f"{model} {version} is withdrawn while it is published as {state}"
                )
            self.routed[model] = tuple(versions)
            self.labels[model] = dict(labels)

    def publish(self, model: str, states: Sequence[tuple[int, int, int, str]]) -> None:
        numbers = [version for version, *_ in states]
        with self._changed:
            self._expect(numbers == sorted(numbers, reverse=True), f"{model}: {numbers} is not newest first")
            for version, state, _, _ in states:
                reachable = version in self.routed.get(model, ())
                self._expect(reachable or state != State.AVAILABLE, f"{model} {version} is AVAILABLE, but not routed")
            self.published[model] = {version: (State(state), code, text) for version, state, code, text in states}
            self._changed.notify_all()

    def unload(self, model: str, version: int) -> None:
        self._enter(f"unload {model} {version}")
        self._wait_while_held(f"unload {model} {version}")
        with self._changed:
            self._expect(version not in self.routed[model], f"{model} {version} is unloaded while it is routed")
            self.loaded.remove((model, version))

    def _enter(self, call: str) -> None:
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()

    def _wait_while_held(self, call: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: call not in self._held, timeout=10)

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.violations.append(otherwise)
