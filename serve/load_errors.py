"""What mends a version that does not load, or cannot answer once it is loaded, for a well-known reason."""

import re
from collections.abc import Sequence
from pathlib import Path

from tfs.savedmodel.custom_ops import TEXT_LIBRARY, custom_ops
from tfs.savedmodel.errors import TfsError

__all__ = ["hidden_defect", "remedy"]

# About 10 ms per megabyte; only a graph with weights in it is larger, and that has no variables to lose.
_MAX_GRAPH_BYTES = 32 << 20


def remedy(message: str, path: str) -> str:
    """Return what to do about the refusal of the model in `path`; empty if the message says it all.

    Args:
        message: TensorFlow's or LiteRT's own words.
        path: the version directory.
    """
    if found := re.search(r"Op type not registered '([^']+)'", message):
        return _missing_op(found[1])
    if "Could not find meta graph def matching supplied tags" in message:
        return f"`tfs inspect {path}` shows the tags it has; name them with --saved_model_tags"
    if "Select TensorFlow op" in message:
        return "convert the model for TFLITE_BUILTINS only, or serve its SavedModel without --prefer_tflite_model"
    if "Could not find variable" in message or "Error while reading resource variable" in message:
        return _double_variables(path)
    return ""


def hidden_defect(directory: str, path: str, tags: Sequence[str]) -> str:
    """Return why requests to a version that has loaded will fail, and what mends it; empty if nothing is known.

    TensorFlow loads a model whose signatures read variables that nothing restores, and refuses each request. Whether a
    signature sets them itself cannot be told for sure, so this is no reason not to serve it.

    Args:
        directory: where the version lies on this machine.
        path: what the user calls it.
        tags: of the meta graph that was loaded.
    """
    from tfs.savedmodel.reading import meta_graph, read_saved_model, saved_model_file
    from tfs.savedmodel.restoring import unrestored_variables

    folder = Path(directory)
    try:
        if not (folder / "variables").is_dir() or saved_model_file(folder).stat().st_size > _MAX_GRAPH_BYTES:
            return ""
        lost = unrestored_variables(meta_graph(read_saved_model(folder), folder, tags))
    except (OSError, TfsError):
        return ""  # TensorFlow has read it, and that counts
    if not lost:
        return ""
    return (
        f"its requests will fail: {len(lost)} variables that the signatures read are not restored, the first is "
        f"`{lost[0]}` ({_double_variables(path)})"
    )


def _double_variables(path: str) -> str:
    # tf.saved_model.save of a Keras 3 model writes each variable twice, and TensorFlow's C++ loader fills the copy that
    # the signature does not read (keras 19274).
    return (
        "tf.saved_model.save has written its variables so that servers cannot restore them; "
        f"`tfs optimize {path} --in-place` mends it, `tfs export` never writes such a model"
    )


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
