"""Write functions as a SavedModel in which each variable stands once.

`tf.saved_model.save(model)` follows the attributes of the model. For a Keras 3 model it finds each variable twice that
way, and servers cannot restore what it writes (see `tfs.savedmodel.restoring`). So only what the functions use is
saved: their variables, tables and assets.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tfs.exporters.sources.trained import PREDICT_METHOD, ServingFunction
from tfs.exporters.tensorflow_runtime import first_line
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import saved_model_pb2

__all__ = ["write_functions"]

_UNTRACKED = "untracked"  # what TensorFlow calls a table or variable that is no part of what is saved


def write_functions(directory: Path, model: Any, functions: dict[str, ServingFunction]) -> None:
    """Write a SavedModel with one signature per function.

    Args:
        directory: exists and is empty.
        model: the functions' tables and assets are looked for below it, and below what the functions say they use.
        functions: by signature name.

    Raises:
        TfsError: TensorFlow cannot save the functions.
    """
    import tensorflow as tf

    root = tf.Module()
    root.also = [serving.also for serving in functions.values()]
    root.resources = list(_resources([model, *(used for one in functions.values() for used in one.uses)], functions))
    # What nothing in the graph reads is wanted beside it all the same.
    root.files = [used for one in functions.values() for used in one.uses if isinstance(used, tf.saved_model.Asset)]
    concrete = {name: serving.function for name, serving in functions.items()}
    try:
        tf.saved_model.save(root, str(directory), signatures=concrete)
    except (AssertionError, TypeError, ValueError, tf.errors.OpError) as error:  # a graph that it cannot save
        hint = "keep its tables as attributes of the model" if _UNTRACKED in str(error) else "tfs --debug shows where"
        raise TfsError(f"the model cannot be saved: {first_line(error)}", hint) from error
    _set_method_names(directory / "saved_model.pb", functions)


def _resources(roots: Iterable[Any], functions: dict[str, ServingFunction]) -> Iterator[Any]:
    """Find the variables, tables and assets that the functions have captured."""
    import tensorflow as tf

    graphs = [serving.function.graph for serving in functions.values()]
    captured = {id(outer) for serving in functions.values() for outer in serving.function.captured_inputs}
    seen: set[int] = set()
    for owner in (*(variable for graph in graphs for variable in graph.variables), *_below(roots)):
        # Keras' own wrapper of a variable has its handle too, but only the variable itself may be saved.
        handle = owner.handle if isinstance(owner, tf.Variable) else getattr(owner, "resource_handle", None)
        for resource in (handle, getattr(owner, "asset_path", None)):
            if id(resource) in captured - seen:
                seen.add(id(resource))
                yield owner


def _below(roots: Iterable[Any]) -> Iterator[Any]:
    import tensorflow as tf

    for root in roots:
        if isinstance(root, tf.__internal__.tracking.Trackable):
            yield from tf.train.TrackableView(root).descendants()


def _set_method_names(file: Path, functions: dict[str, ServingFunction]) -> None:
    """Put the method names into the file: TensorFlow writes that of Predict for every function."""
    if all(serving.method_name == PREDICT_METHOD for serving in functions.values()):
        return
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for name, serving in functions.items():
        saved_model.meta_graphs[0].signature_def[name].method_name = serving.method_name
    file.write_bytes(saved_model.SerializeToString(deterministic=True))
    file.with_name("fingerprint.pb").unlink(
        missing_ok=True
    )  # its hash is that of the signatures as TensorFlow wrote them
