"""A load on a version in this process, through the engine's own loop: the model without network and protocol."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.native_log import hold_back_native_log
from tfs.serve._engine import EngineError
from tfs.serve.client.load_generator import Progress
from tfs.serve.client.load_plan import Step
from tfs.serve.client.load_result import StepResult, step_result
from tfs.serve.execution import execution_of
from tfs.serve.options import ServerOptions
from tfs.serve.tensorflow_engine import new_engine

__all__ = ["InProcessModel"]

_MODEL = "local"
_TICK_SECONDS = 0.25
_OPEN_LOOP_THREADS = 64  # how many runs of a schedule can be under way; one that is due later waits, which counts


class InProcessModel:
    """A version that the engine has loaded as `tfs serve` does: with the execution plan that it measures best.

    Raises:
        TfsError: it does not load.
    """

    def __init__(self, directory: Path) -> None:
        execution = execution_of(ServerOptions(model_base_path=str(directory)))
        self._engine = new_engine(execution, quiet=True)
        # TensorFlow tells a failure at length on stderr; the error says it in one line.
        with hold_back_native_log():
            try:
                self._engine.load(_MODEL, 1, str(directory), tags=execution.tags)
            except EngineError as error:
                raise TfsError(f"`{directory}` does not load: {error.message}") from error

    def close(self) -> None:
        """Free the version."""
        self._engine.unload(_MODEL, 1)
        self._engine.shutdown(0)

    def run_step(
        self, requests: Sequence[bytes], step: Step, *, warmup_seconds: float, seconds: float, progress: Progress
    ) -> StepResult:
        """Run one step with serialized PredictRequests, taken in turn, and return what was measured.

        Raises:
            TfsError: a request does not run.
        """
        threads = step.concurrency or _OPEN_LOOP_THREADS
        load: dict[str, Any] = {"threads": threads, "rate": step.rate}
        measured: list[tuple[float, list[float]]] = []
        failures: list[EngineError] = []

        def run() -> None:
            try:
                if warmup_seconds:
                    self._engine.run_loop(_MODEL, 1, requests, seconds=warmup_seconds, **load)
                measured.append(self._engine.run_loop(_MODEL, 1, requests, seconds=seconds, **load))
            except EngineError as error:
                failures.append(error)

        # On a thread of its own, so that the progress can be told meanwhile.
        running = threading.Thread(target=run)
        start = time.monotonic()
        running.start()
        while running.is_alive():
            running.join(_TICK_SECONDS)
            progress(time.monotonic() - start, 0)
        if failures:
            raise TfsError(f"the request does not run: {failures[0].message}") from failures[0]
        [(elapsed, latencies)] = measured
        return step_result(step, max(elapsed, seconds), np.array(latencies), {}, None)
