"""What mends a load that failed for a well-known reason."""

import re

from tfs.savedmodel.custom_ops import TEXT_LIBRARY, custom_ops

__all__ = ["remedy"]


def remedy(message: str, path: str) -> str:
    """Return what to do about TensorFlow's refusal of the SavedModel in `path`; empty if the message says it all.

    Args:
        message: TensorFlow's own words.
        path: the version directory.
    """
    if found := re.search(r"Op type not registered '([^']+)'", message):
        return _missing_op(found[1])
    if "Could not find meta graph def matching supplied tags" in message:
        return f"`tfs inspect {path}` shows the tags it has; name them with --saved_model_tags"
    # The variable exists in the graph and was never restored: tf.saved_model.save of a Keras 3 model writes each one
    # twice, and TensorFlow's C++ loader fills the copy that the signature does not read (keras 19274).
    if "Could not find variable" in message or "Error while reading resource variable" in message:
        return (
            "tf.saved_model.save has written its variables so that servers cannot restore them; "
            f"`tfs optimize {path} --in-place` mends it, `tfs export` never writes such a model"
        )
    return ""


def _missing_op(op: str) -> str:
    libraries = custom_ops([op])
    if TEXT_LIBRARY in libraries:
        return "it is an op of tensorflow-text: pip install tensorflow-text"
    if libraries:
        return f"it is an op of the custom-op library {next(iter(libraries))}, which this server cannot load"
    from tfs.savedmodel.tensorflow_paths import tensorflow_version

    return (
        f"TensorFlow {tensorflow_version()} does not have it: the model needs a newer TensorFlow or a custom-op library"
    )
