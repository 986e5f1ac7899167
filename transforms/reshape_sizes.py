"""Shapes for Reshape that are put together at run time though only one size is unknown.

    Reshape(x, Pack(StridedSlice(Shape(x)), 416))   ->   Reshape(x, [-1, 416])        (x of shape [?, 26, 16])

Keras writes Flatten and Reshape so; the ops take a small model as long as a layer.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_view import GraphView, Tensor

if TYPE_CHECKING:
    from tfs.transforms.static_shapes import StaticShapes

__all__ = ["fold_reshape_sizes"]

_SIZE_OPS = frozenset({"Shape", "Size", "Rank"})
# What computes sizes from sizes.
_ARITHMETIC = frozenset(
    {"Add", "AddV2", "Cast", "ConcatV2", "ExpandDims", "GatherV2", "Identity", "Mul", "Pack", "Prod", "Reshape"}
    | {"Slice", "Squeeze", "StridedSlice", "Sub"}
)


def fold_reshape_sizes(view: GraphView, shapes: "StaticShapes") -> tuple[GraphView, int]:
    """Give each Reshape a constant shape where TensorFlow can tell all its sizes but one, which is -1 then.

    Its shape must be computed from constants and the sizes of tensors that depend on no other input than the one that
    is reshaped. Returns the graph and the number of shapes.
    """
    import numpy as np

    sources = _sources(view)
    edit = GraphEdit(view)
    count = 0
    for node in view:
        if node.op != "Reshape" or view.is_constant(Tensor.parse(node.input[1])):
            continue
        data, shape = (Tensor.parse(text) for text in node.input[:2])
        before, after = shapes(data), shapes(Tensor(node.name, 0))
        if before is None or after is None or before.count(None) != 1 or after.count(None) != 1 or 0 in after:
            continue
        measured = _measured(view, shape)
        own = sources.get(data.node, frozenset())
        if not measured or not all(sources.get(other, {other}) <= own for other in measured):
            continue
        sizes = np.array([-1 if size is None else size for size in after], shapes.dtype(shape).as_numpy_dtype)
        copy = edit.copy(node.name)
        copy.input[1] = str(edit.constant(f"{node.name}/sizes", sizes, node.device))
        edit.put(copy)
        count += 1
    return (edit.view(), count) if count else (view, 0)


def _measured(view: GraphView, shape: Tensor) -> set[str]:
    """Return the nodes whose results' sizes `shape` is computed from; none if anything else goes into it."""
    found: set[str] = set()
    todo, seen = [shape.node], {shape.node}
    while todo:
        name = todo.pop()
        op, inputs = view.nodes[name].op, [tensor.node for tensor in view.data_inputs(name)]
        if name in view.roots.fed_names or (op not in _ARITHMETIC and op not in _SIZE_OPS and op != "Const"):
            return set()
        if op in _SIZE_OPS:
            found.add(inputs[0])
        else:
            todo.extend(other for other in inputs if other not in seen)
            seen.update(inputs)
    return found


def _sources(view: GraphView) -> Mapping[str, frozenset[str]]:
    """Return for each node the nodes without inputs, and the fed ones, that its value comes from; constants aside."""
    found: dict[str, frozenset[str]] = {}
    for name in view.order:
        inputs = view.data_inputs(name)
        if name in view.roots.fed_names or (not inputs and view.nodes[name].op != "Const"):
            found[name] = frozenset({name})
        else:
            parts = {found.get(tensor.node, frozenset({tensor.node})) for tensor in inputs}
            found[name] = next(iter(parts)) if len(parts) == 1 else frozenset().union(*parts)
    return found
