"""A session that holds the weights of a graph once.

TensorFlow copies a graph several times when it makes a session of it and when its optimizer rewrites it for the first
run, the constants with it: about ten times the model. Here large constants are variables of the same values, which are
not copied. The same ops run on them; only what TensorFlow would compute of them once, ahead of the requests, has to be
told apart: constants that flow into such a computation stay constants.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfs.savedmodel.reading import meta_graph, read_saved_model
from tfs.transforms.factors import computed_from_constants
from tfs.transforms.graph_view import CONTROL, GraphView, Roots
from tfs.transforms.large_constants import LargeConstants, light_saved_model
from tfs.transforms.tensorflow_runtime import open_session, release_memory

__all__ = ["open_light_session"]


@contextmanager
def open_light_session(path: Path) -> Iterator[Any]:
    """Load a SavedModel as `open_session` does, with large constants of its main graph as variables.

    Raises:
        TfsError: the model cannot be read, or the loader refuses it.
    """
    light, values = _taken_apart(path)
    tags = light.meta_info_def.tags
    with light_saved_model(path, light) as directory, open_session(path, tags, directory) as session:
        _assign(session, values)
        values.clear()
        release_memory()
        yield session


def _taken_apart(path: Path) -> tuple[Any, dict[str, bytes]]:
    """Return a SavedModel's MetaGraphDef with variables for constants, and their values by the handles' names."""
    loaded = meta_graph(read_saved_model(path), path)
    constants = LargeConstants()
    light = constants.take(loaded, among=_weights(GraphView(loaded.graph_def.node, Roots())))
    return light, constants.move_into_variables(light.graph_def)


def _weights(view: GraphView) -> set[str]:
    """Return the constants that nothing else is computed from ahead of a request."""
    computed = computed_from_constants(view)
    return {
        node.name
        for node in view
        # A constant that waits for something may belong to an old-style loop or branch, which no variable does.
        if node.op == "Const" and not node.input and not _flows_into(view, node.name, computed)
    }


def _flows_into(view: GraphView, name: str, computed: set[str]) -> bool:
    todo = [name]
    while todo:
        for reader in view.readers(todo.pop()):
            if reader.port == CONTROL or reader.node not in computed:
                continue
            if view.nodes[reader.node].op != "Identity":
                return True
            todo.append(reader.node)
    return False


def _assign(session: Any, values: dict[str, bytes]) -> None:
    import numpy as np
    import tensorflow as tf

    feeds: dict[Any, np.ndarray] = {}
    assigned = []
    with session.graph.as_default():
        for name, value in values.items():
            handle = session.graph.get_operation_by_name(name)
            dtype = tf.as_dtype(handle.get_attr("dtype"))
            shape = tf.TensorShape(handle.get_attr("shape")).as_list()
            placeholder = tf.compat.v1.placeholder(dtype, shape)
            feeds[placeholder] = np.frombuffer(value, dtype.as_numpy_dtype).reshape(shape)
            assigned.append(tf.raw_ops.AssignVariableOp(resource=handle.outputs[0], value=placeholder))
    session.run(assigned, feeds)
