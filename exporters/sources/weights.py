"""Load weights that lie beside the code of a model: files of `save_weights` and TensorFlow's checkpoints."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfs.exporters.sources.checkpoints import checkpoint_prefix
from tfs.exporters.tensorflow_runtime import first_line
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import trackable_object_graph_pb2

__all__ = ["load_weights"]

_HDF5_SUFFIXES = (".h5", ".hdf5", ".keras")
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"
_SHOWN = 3


def load_weights(model: Any, weights: str, variables: list[Any]) -> None:
    """Give a model the values of a weights file or checkpoint, all of its variables or none.

    Args:
        model: a Keras model or other trackable object.
        weights: an HDF5 file of `save_weights`, the common beginning of a checkpoint's files, or the folder of a
            `tf.train.CheckpointManager`, of which the latest is taken.
        variables: those of the model that must get a value.

    Raises:
        TfsError: there is none, or it does not match; the message names variables.
    """
    if Path(weights).suffix in _HDF5_SUFFIXES:
        _load_hdf5(model, weights, variables)
    else:
        _restore(model, checkpoint_prefix(weights), variables)


def _load_hdf5(model: Any, weights: str, variables: list[Any]) -> None:
    if not Path(weights).is_file():
        raise TfsError(f"--weights `{weights}` does not exist or is no file")
    if not hasattr(model, "load_weights"):
        raise TfsError(f"a {type(model).__name__} has no load_weights for `{weights}`", "use a tf.train.Checkpoint")
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers for which the file has nothing.
            warnings.filterwarnings("error", category=UserWarning)
            model.load_weights(weights)
    except Exception as error:  # HDF5's errors and those of any layer
        hint = f"the model has {len(variables)} variables, as {_names(variables)}"
        raise TfsError(f"--weights `{weights}` does not match the model: {error}", hint) from error


def _restore(model: Any, prefix: str, variables: list[Any]) -> None:
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(prefix)
        if not reader.has_tensor(_OBJECT_GRAPH):
            raise TfsError(f"--weights `{prefix}` is a checkpoint of TF 1, which knows no objects", "export its .meta")
        objects = trackable_object_graph_pb2.TrackableObjectGraph.FromString(reader.get_tensor(_OBJECT_GRAPH))
    except (tf.errors.OpError, ValueError) as error:
        raise TfsError(f"--weights `{prefix}` cannot be read: {first_line(error)}") from error
    name, start = _place_of(model, objects)
    saved = dict(_saved_shapes(model, objects, start, reader.get_variable_to_shape_map()))
    _check_matches(prefix, variables, saved)
    checkpoint = tf.train.Checkpoint(**{name: model}) if name else tf.train.Checkpoint(model)
    checkpoint.restore(prefix).expect_partial()  # of an optimizer, say, a server has no use


def _place_of(model: Any, objects: Any) -> tuple[str, int]:
    """Return under which name, and at which node, a checkpoint holds the model: "" if the model itself was saved."""
    import tensorflow as tf

    own = tf.train.TrackableView(model).children(model).keys()
    places = [("", 0), *((child.local_name, child.node_id) for child in objects.nodes[0].children)]
    return max(places, key=lambda place: len(own & {child.local_name for child in objects.nodes[place[1]].children}))


def _check_matches(prefix: str, variables: list[Any], saved: dict[int, list[int]]) -> None:
    """Compare the variables of the model with a checkpoint before anything is assigned."""
    problem = f"--weights `{prefix}` does not match the model"
    if lost := [variable for variable in variables if id(variable.handle) not in saved]:
        raise TfsError(f"{problem}: it has no values for {len(lost)} of {len(variables)} variables, as {_names(lost)}")
    for variable in variables:
        if (shape := saved[id(variable.handle)]) != list(variable.shape):
            here = list(variable.shape)
            raise TfsError(f"{problem}: `{_name(variable)}` has the shape {shape} in the checkpoint and {here} here")


def _saved_shapes(
    model: Any, objects: Any, start: int, shapes: dict[str, list[int]]
) -> Iterator[tuple[int, list[int]]]:
    """Walk the model and the checkpoint side by side; yield each variable's id of its handle and its saved shape."""
    import tensorflow as tf

    view = tf.train.TrackableView(model)
    waiting, seen = [(model, start)], set()
    while waiting:
        live, node = waiting.pop()
        if id(live) in seen:
            continue
        seen.add(id(live))
        keys = [attribute.checkpoint_key for attribute in objects.nodes[node].attributes if attribute.name == _VALUE]
        if keys and hasattr(live, "handle"):
            yield id(live.handle), list(shapes[keys[0]])
        children = view.children(live)
        saved = objects.nodes[node].children
        waiting.extend((children[one.local_name], one.node_id) for one in saved if one.local_name in children)


def _names(variables: list[Any]) -> str:
    return ", ".join(f"`{_name(variable)}`" for variable in variables[:_SHOWN])


def _name(variable: Any) -> str:
    """Return the path of a Keras variable, the name of another."""
    return str(getattr(variable, "path", None) or variable.name.removesuffix(":0"))
