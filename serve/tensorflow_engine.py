"""TensorFlow's library, found, set up and opened."""

import logging
import os
from contextlib import nullcontext

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.native_log import hold_back_native_log
from tfs.savedmodel.tensorflow_paths import tensorflow_library, text_op_libraries
from tfs.serve._engine import Engine, EngineError
from tfs.serve.example_request import example_request
from tfs.serve.execution import Execution
from tfs.serve.giving_way import give_way

__all__ = ["new_engine"]

_logger = logging.getLogger(__name__)


def new_engine(execution: Execution, *, quiet: bool = False) -> Engine:
    """Open TensorFlow's library and return an engine with nothing loaded.

    Args:
        execution: how models are run.
        quiet: keep TensorFlow from writing warnings and errors to stderr; what a request or a load fails of is told
            anyway. TF_CPP_MIN_LOG_LEVEL in the environment wins.

    Raises:
        TfsError: there is no TensorFlow that can be used.
    """
    # Quiet unless the user wants TensorFlow's chatter. Its greeting comes before the level counts.
    greeting = nullcontext() if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0" else hold_back_native_log()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3" if quiet else "1")
    if execution.measured:
        # An intra-op pool per session, so that each version can have the one that is best for it. TensorFlow looks at
        # this once; without it the first session's pool is everybody's.
        os.environ["TF_OVERRIDE_GLOBAL_THREADPOOL"] = "1"
    library = tensorflow_library()
    try:
        with greeting:
            if execution.tflite_interpreters:
                from tfs.serve.litert import greet

                greet()
            return Engine(
                tensorflow_library=str(library),
                op_libraries=[str(path) for path in text_op_libraries()],
                session_config=execution.session_config,
                in_caller_thread=execution.in_caller_thread,
                batch_threads=execution.batching.threads if execution.batching else 0,
                batch_pool_name=execution.batching.pool_name if execution.batching else "",
                log=_logger.log,
                example_request=example_request if execution.measured else None,
                give_way=give_way,
            )
    except EngineError as error:
        raise TfsError(f"TensorFlow (`{library}`) cannot start: {error.message}") from error
