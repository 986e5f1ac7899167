"""Reading what was stacked past the stack, where it is taken out of it again.

    StridedSlice(Transpose(Pack(a, b, c)), 1)   ->   b

Keras writes one TimeDistributed behind another so; a batch norm among them then stands behind its convolution.
"""

from tfs.transforms.factors import constant_value
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, attribute

__all__ = ["read_past_stacks"]

_OTHER_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask")


def read_past_stacks(view: GraphView) -> tuple[GraphView, int]:
    """Let the readers of each slice that is one element of a stack read that element; return how many there were."""
    edit = GraphEdit(view)
    count = 0
    for node in view:
        if node.op != "StridedSlice" or view.is_root(node.name) or view.control_inputs(node.name):
            continue
        index = _first_axis_index(view, node)
        element = None if index is None else _element(view, Tensor.parse(node.input[0]), index)
        if element is not None:
            edit.redirect(Tensor(node.name, 0), element)
            edit.redirect_control(node.name, [element.node])
            edit.drop(node.name)
            count += 1
    if not count:
        return view, 0
    left = edit.view()
    return left.only(left.ancestors(left.roots.names)), count  # a stack that nobody reads any more goes


def _first_axis_index(view: GraphView, node: NodeDef) -> int | None:
    """Return i if the slice is `x[i]`, else None."""
    begin, strides = (constant_value(view, Tensor.parse(node.input[index])) for index in (1, 3))
    if begin is None or strides is None or begin[1].size != 1 or strides[1].item() != 1:
        return None
    if attribute(node, "shrink_axis_mask").i != 1 or any(attribute(node, mask).i for mask in _OTHER_MASKS):
        return None
    return int(begin[1].item())


def _element(view: GraphView, tensor: Tensor, index: int) -> Tensor | None:
    """Return what stands at `index` of the first axis of `tensor`, if that is the axis along which it was stacked."""
    order: list[int] | None = None
    while (node := view.nodes[tensor.node]).op == "Transpose" and not view.is_root(node.name):
        inner = constant_value(view, Tensor.parse(node.input[1]))
        if inner is None or view.control_inputs(node.name):
            return None
        axes = [int(axis) for axis in inner[1]]
        order = axes if order is None else [axes[axis] for axis in order]
        tensor = Tensor.parse(node.input[0])
    if node.op != "Pack" or view.is_root(node.name) or view.control_inputs(node.name):
        return None
    parts, axis = view.data_inputs(node.name), attribute(node, "axis").i
    if order is not None:
        # The stack's axis comes first, and the others keep their order.
        if order[0] != axis % len(order) or order[1:] != sorted(order[1:]):
            return None
        axis = 0
    return parts[index] if axis == 0 and 0 <= index < len(parts) else None
