"""A load on a version in this process, through the engine's own loop: the model without network and protocol."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.input_hints import InputHints, read_hints
from tfs.savedmodel.native_log import hold_back_native_log
from tfs.savedmodel.reading import Signature, read_signatures
from tfs.savedmodel.tflite_file import TFLITE_FILE, is_tflite_only, read_tflite
from tfs.serve._engine import EngineError
from tfs.serve.client.load_generator import Progress
from tfs.serve.client.load_plan import Step
from tfs.serve.client.load_result import StepResult, step_result
from tfs.serve.client.load_worker import Failure
from tfs.serve.engine_data_plane import EngineDataPlane
from tfs.serve.execution import execution_of
from tfs.serve.options import ServerOptions
from tfs.serve.tensorflow_engine import new_engine

__all__ = ["InProcessModel", "inputs_of"]

_MODEL = "local"
_TICK_SECONDS = 0.25
_OPEN_LOOP_THREADS = 64  # how many runs of a schedule can be under way; one that is due later waits, which counts


def inputs_of(directory: Path) -> tuple[dict[str, Signature], InputHints]:
    """Return what requests to a version directory can be made from; one may have nothing but a TFLite file.

    Raises:
        TfsError: `directory` is no version that can be read.
    """
    if is_tflite_only(directory):
        return read_tflite(directory / TFLITE_FILE).signatures, InputHints()
    return read_signatures(directory), read_hints(directory)


class InProcessModel:
    """A version that the engine has loaded as `tfs serve` does: with the execution plan that it measures best.

    Raises:
        TfsError: it does not load.
    """

    def __init__(self, directory: Path) -> None:
        tflite = is_tflite_only(directory)
        execution = execution_of(ServerOptions(model_base_path=str(directory), prefer_tflite_model=tflite))
        self._engine = new_engine(execution, quiet=True)
        # TensorFlow tells a failure at length on stderr; the error says it in one line.
        with hold_back_native_log():
            try:
                plane = EngineDataPlane(self._engine, execution)
                plane.load(_MODEL, 1, str(directory), tags=execution.tags, warmup=True, warmup_iterations=1)
            except EngineError as error:
                raise TfsError(f"`{directory}` does not load: {error.message}") from error

    def close(self) -> None:
        """Free the version."""
        self._engine.unload(_MODEL, 1)
        self._engine.shutdown(0)

    def run_step(
        self, requests: Sequence[bytes], step: Step, *, warmup_seconds: float, seconds: float, progress: Progress
    ) -> StepResult:
        """Run one step with serialized PredictRequests, taken in turn, and return what was measured."""
        threads = step.concurrency or _OPEN_LOOP_THREADS
        load: dict[str, Any] = {"threads": threads, "rate": step.rate}
        measured: list[tuple[float, list[float], dict[str, tuple[int, str]]]] = []

        def run() -> None:
            if warmup_seconds:
                self._engine.run_loop(_MODEL, 1, requests, seconds=warmup_seconds, **load)
            measured.append(self._engine.run_loop(_MODEL, 1, requests, seconds=seconds, **load))

        # On a thread of its own, so that the progress can be told meanwhile.
        running = threading.Thread(target=run)
        start = time.monotonic()
        running.start()
        while running.is_alive():
            running.join(_TICK_SECONDS)
            progress(time.monotonic() - start, 0)
        [(elapsed, latencies, failed)] = measured
        failures = {code: Failure(count, message) for code, (count, message) in failed.items()}
        return step_result(step, max(elapsed, seconds), np.array(latencies), failures, None)
