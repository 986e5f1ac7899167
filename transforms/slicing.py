"""Which axis of a tensor is left whole by a StridedSlice."""

from tfs.transforms.factors import RefusedError, constant_value
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, attribute

__all__ = ["axis_before_slice"]


def axis_before_slice(view: GraphView, node: NodeDef, rank: int, axis: int) -> int:
    """Return the axis of the input of `node`, a StridedSlice, that becomes `axis` of its result element by element.

    Args:
        view: the graph.
        node: the StridedSlice.
        rank: of its input.
        axis: of its result, negative, counted from the end; so is what is returned.

    Raises:
        RefusedError: there is none, or this cannot be told.
    """
    strides = constant_value(view, Tensor.parse(node.input[3]))
    if strides is None or attribute(node, "ellipsis_mask").i or attribute(node, "new_axis_mask").i:
        raise RefusedError(f"what `{node.name}` slices cannot be told")
    removed = attribute(node, "shrink_axis_mask").i
    left = [index for index in range(rank) if not removed >> index & 1]
    before = left[axis]
    if before < strides[1].size:
        whole = attribute(node, "begin_mask").i & attribute(node, "end_mask").i
        if not whole >> before & 1 or strides[1][before] != 1:
            raise RefusedError(f"`{node.name}` takes a part of the channels")
    return before - rank
