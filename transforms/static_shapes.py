"""Shapes that TensorFlow's own shape functions can tell without running the graph."""

from typing import Any

from tfs.savedmodel.protos import load
from tfs.transforms.graph_view import GraphView, Tensor, node_def

__all__ = ["StaticShapes", "imported"]


def imported(view: GraphView) -> Any:
    """Return a `tf.Graph` with the view's nodes, devices left out; arguments of a body stand there as placeholders.

    Raises:
        ValueError: TensorFlow refuses the graph; the message names the node.
    """
    import tensorflow as tf

    graph_def = load("graph_pb2").GraphDef(library=view.library, versions=view.versions)
    for node in view:
        if node.op == "_Retval":
            continue
        if node.op == "_Arg":
            placeholder = node_def("Placeholder", node.name)
            placeholder.attr["dtype"].CopyFrom(node.attr["T"])
            placeholder.attr["shape"].shape.unknown_rank = True
            graph_def.node.append(placeholder)
            continue
        copy = graph_def.node.add()
        copy.CopyFrom(node)
        copy.device = ""
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    return graph


class StaticShapes:
    """The static shapes of all tensors of a view."""

    def __init__(self, view: GraphView) -> None:
        self._graph = imported(view)

    def __call__(self, tensor: Tensor) -> tuple[int | None, ...] | None:
        """Return the sizes of a tensor, None for each unknown one; None for a tensor of unknown rank."""
        shape = self._graph.get_tensor_by_name(f"{tensor.node}:{tensor.port}").shape
        return None if shape.rank is None else tuple(shape.as_list())

    def dtype(self, tensor: Tensor) -> Any:
        """Return the tf.DType of a tensor."""
        return self._graph.get_tensor_by_name(f"{tensor.node}:{tensor.port}").dtype
