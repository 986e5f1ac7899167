"""Importing TensorFlow and Keras without their talk on stderr."""

import logging
import os
import sys

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.native_log import hold_back_native_log

__all__ = ["first_line", "import_keras", "import_tensorflow"]


def import_tensorflow() -> None:
    """Import TensorFlow; nothing is written to stderr on the way.

    Raises:
        TfsError: it cannot be imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if "tensorflow.python" not in sys.modules:
        with hold_back_native_log():
            _import()


def import_keras() -> None:
    """Import TensorFlow and Keras on TensorFlow; nothing is written to stderr on the way.

    Raises:
        TfsError: TensorFlow cannot be imported, or Keras is set to another backend.
    """
    import_tensorflow()
    import keras

    if keras.backend.backend() != "tensorflow":
        raise TfsError(f"Keras runs on {keras.backend.backend()}, export needs TensorFlow", "KERAS_BACKEND=tensorflow")


def _import() -> None:
    try:
        import tensorflow as tf
    except ImportError as error:
        raise TfsError(f"TensorFlow cannot be imported: {error}", "pip install tensorflow") from error
    tf.config.list_logical_devices()  # looks for GPUs, and says so


def first_line(error: BaseException) -> str:
    """Return type and first line of what went wrong in somebody else's code, without its stack."""
    lines = str(error).strip().splitlines()
    if lines[:1] == ["in user code:"]:  # AutoGraph shows its way there and ends with type and message
        return lines[-1].strip()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
