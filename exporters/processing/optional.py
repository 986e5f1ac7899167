"""tensorflow-text, which only some steps need."""

from typing import Any

from tfs.savedmodel.errors import TfsError

__all__ = ["import_tensorflow_text"]


def import_tensorflow_text() -> Any:
    """Return the module `tensorflow_text`; its import registers the ops.

    Raises:
        TfsError: it is not installed, or does not fit the TensorFlow that is.
    """
    import tensorflow as tf

    hint = "pip install 'tfs[text]'"
    try:
        import tensorflow_text
    except ImportError as error:
        raise TfsError("the step needs tensorflow-text, which is not installed", hint) from error
    except tf.errors.OpError as error:  # its libraries were made for another release
        raise TfsError(f"tensorflow-text does not fit TensorFlow {tf.__version__}: {error.message}", hint) from error
    return tensorflow_text
