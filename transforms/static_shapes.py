"""Shapes that TensorFlow's own shape functions can tell without running the graph."""

from functools import cached_property
from typing import Any

from tfs.savedmodel.protos import load
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, node_def

__all__ = ["StaticShapes", "imported"]

_SMALL = 4096  # bytes of a constant that a shape function may look into


def imported(view: GraphView, *, shapes_only: bool = False) -> Any:
    """Return a `tf.Graph` with the view's nodes, devices left out; arguments of a body stand there as placeholders.

    With `shapes_only` large constants are placeholders too: their values tell nothing about shapes and cost time.

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
        if shapes_only and node.op == "Const" and node.ByteSize() > _SMALL:
            graph_def.node.append(_without_value(node))
            continue
        copy = graph_def.node.add()
        copy.CopyFrom(node)
        copy.device = ""
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    return graph


def _without_value(node: NodeDef) -> NodeDef:
    placeholder = node_def("Placeholder", node.name)
    placeholder.input.extend(node.input)
    placeholder.attr["dtype"].CopyFrom(node.attr["dtype"])
    placeholder.attr["shape"].shape.CopyFrom(node.attr["value"].tensor.tensor_shape)
    return placeholder


class StaticShapes:
    """The static shapes of all tensors of a view.

    Args:
        view: the graph.
        earlier: shapes of the graph from which passes that keep every tensor's meaning made this one; what is known
            from there need not be worked out again.
    """

    def __init__(self, view: GraphView, earlier: "StaticShapes | None" = None) -> None:
        self._view = view
        self._earlier = earlier

    @cached_property
    def _graph(self) -> Any:
        return imported(self._view, shapes_only=True)

    def _tensor(self, tensor: Tensor) -> Any:
        if self._earlier is not None and tensor.node in self._earlier._view.nodes:
            return self._earlier._tensor(tensor)
        return self._graph.get_tensor_by_name(f"{tensor.node}:{tensor.port}")

    def __call__(self, tensor: Tensor) -> tuple[int | None, ...] | None:
        """Return the sizes of a tensor, None for each unknown one; None for a tensor of unknown rank."""
        shape = self._tensor(tensor).shape
        return None if shape.rank is None else tuple(shape.as_list())

    def dtype(self, tensor: Tensor) -> Any:
        """Return the tf.DType of a tensor."""
        return self._tensor(tensor).dtype
