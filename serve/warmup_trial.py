"""Run warm-up records as a server does when it loads a version, before any server sees them."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.native_log import hold_back_native_log
from tfs.serve._engine import EngineError
from tfs.serve.execution import execution_of
from tfs.serve.options import ExecutionMode, ServerOptions
from tfs.serve.tensorflow_engine import new_engine

__all__ = ["batch_sizes_of", "trial_of"]

_EXTRA = "assets.extra"
_UPSTREAMS_BATCH_SIZE = 1000  # the largest batch, if the parameters do not say
_RECORD = re.compile(r"^warm-up record (\d+) of .*?: ")


def batch_sizes_of(batching_parameters_file: Path) -> list[int]:
    """Return the batch sizes that a server with these parameters can run, in ascending order.

    These are the allowed ones. Where any size is allowed they are the powers of two and the largest size.

    Raises:
        TfsError: the file cannot be read.
    """
    execution = execution_of(_options(batching_parameters_file.parent, batching_parameters_file))
    parameters = execution.batching.parameters if execution.batching else {}
    if allowed := parameters.get("allowed_batch_sizes"):
        return sorted(set(allowed))
    largest = parameters.get("max_batch_size", _UPSTREAMS_BATCH_SIZE)
    return [*(1 << n for n in range(largest.bit_length()) if 1 << n < largest), largest]


def _options(directory: Path, batching_parameters_file: Path | None) -> ServerOptions:
    return ServerOptions(
        model_base_path=str(directory),
        execution=ExecutionMode.CALLER,  # nothing is to be measured
        enable_batching=batching_parameters_file is not None,
        batching_parameters_file=str(batching_parameters_file or ""),
    )


def trial_of(directory: Path, batching_parameters_file: Path | None = None) -> Callable[[Path], None]:
    """Return a function that runs each record of a warm-up file against the version in `directory`.

    The version is loaded as `tfs serve` loads it, with batching if there are parameters for it. The function raises
    TfsError if the version does not load, or a record does not run; the message has its number, counted from 1.
    """

    def trial(warmup_file: Path) -> None:
        execution = execution_of(_options(directory, batching_parameters_file))
        engine = new_engine(execution)
        with tempfile.TemporaryDirectory(prefix="tfs-warmup-") as folder:
            staged = Path(folder)
            for entry in directory.iterdir():
                if entry.name != _EXTRA:
                    (staged / entry.name).symlink_to(entry.absolute())
            (staged / _EXTRA).mkdir()
            (staged / _EXTRA / "tf_serving_warmup_requests").symlink_to(warmup_file.absolute())
            batching = execution.batching.parameters if execution.batching else None
            failure: EngineError | None = None
            # TensorFlow tells a failure at length on stderr; the error says it in one line.
            with hold_back_native_log():
                try:
                    engine.load("warmup", 1, folder, tags=execution.tags, batching=batching)
                    engine.unload("warmup", 1)
                except EngineError as error:
                    failure = error
        engine.shutdown(0)
        if failure is not None:
            message, found = _RECORD.subn(r"record \1 does not run: ", failure.message)
            raise TfsError(message if found else f"`{directory}` does not load: {failure.message}") from failure

    return trial
