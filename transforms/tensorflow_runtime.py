"""Importing TensorFlow without its talk on stderr, sessions, and the first line of what TensorFlow says."""

import ctypes
import gc
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.native_log import hold_back_native_log

__all__ = ["first_line", "open_session", "plain_session", "quiet_tensorflow", "release_memory"]


def quiet_tensorflow() -> None:
    """Import TensorFlow so that it writes nothing to stderr: no CPU or CUDA notices, no deprecation hints.

    Does nothing if it is imported already, or if TF_CPP_MIN_LOG_LEVEL asks for warnings or notices (0, 1).

    Raises:
        TfsError: TensorFlow cannot be imported.
    """
    if "tensorflow.python" in sys.modules or os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("0", "1"):
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)
    with hold_back_native_log():
        try:
            import tensorflow as tf
        except ImportError as error:
            raise TfsError(f"TensorFlow cannot be imported: {error}", "pip install tensorflow") from error
        tf.config.list_logical_devices()  # sets the devices up now, with the notices that brings


def plain_session(graph: Any) -> Any:
    """Return a v1 session over `graph` that does not rewrite it before it runs."""
    import tensorflow as tf

    config = tf.compat.v1.ConfigProto(allow_soft_placement=True)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf.compat.v1.Session(graph=graph, config=config)


@contextmanager
def open_session(path: Path, tags: Iterable[str], directory: Path | None = None) -> Iterator[Any]:
    """Load a SavedModel through the v1 loader and give its session, open while the block runs.

    Neither session nor graph becomes the default one: the block may use eager TensorFlow.

    Args:
        path: the SavedModel, as errors name it.
        tags: of its graph.
        directory: where to load it from; `path` if None.

    Raises:
        TfsError: the loader refuses the model.
    """
    import tensorflow as tf

    session = tf.compat.v1.Session(graph=tf.Graph())
    try:
        try:
            with session.graph.as_default():
                tf.compat.v1.saved_model.load(session, list(tags), str(directory or path))
        except (tf.errors.OpError, ValueError, RuntimeError, OSError, KeyError) as error:
            reason = first_line(error).replace(str(directory or path), str(path))
            raise TfsError(f"`{path}` cannot be loaded: {reason}") from error
        yield session
    finally:
        session.close()


def release_memory() -> None:
    """Give what sessions and graphs no longer use back to the system: they hold each other, and malloc holds pages."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)


def first_line(error: BaseException) -> str:
    """Return the first line of an error of TensorFlow's, which may go on with a graph's stack trace."""
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
