"""Joining constants that are added one after the other, one value for each channel.

BiasAdd(x, b) + c   ->   BiasAdd(x, b + c)
conv + c            ->   BiasAdd(conv, c)        (TensorFlow then fuses it with the convolution at run time)
matmul + c          ->   matmul - (-c)           (if small, since fusing would make it slower: see `bias`)
"""

from typing import NamedTuple

import numpy as np

from tfs.transforms.bias import is_small_product, put_offset
from tfs.transforms.factors import FLOAT_TYPES, LINEAR_OPS, RefusedError, channel_axis, constant_value
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor
from tfs.transforms.scaling import ScalePlanner

__all__ = ["join_offsets"]

_ADDITIONS = frozenset({"BiasAdd", "Add", "AddV2", "Sub"})
_FUSED_WITH_BIAS = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul"})


class _Offset(NamedTuple):
    """An addition: what is added to, the values [C] added along `axis`, what addition and constant wait for."""

    source: Tensor
    values: np.ndarray
    axis: int
    waits: list[str]

    @property
    def data_format(self) -> bytes:
        return b"NHWC" if self.axis == -1 else b"NCHW"


def join_offsets(planner: ScalePlanner) -> tuple[GraphView, int]:
    """Return the graph of `planner` with offsets joined, and how many nodes were changed.

    The last node of a chain keeps its name; nodes that a signature or anyone else reads stay as they are.
    """
    count = 0
    while True:
        view = planner.view
        edit = GraphEdit(view)
        claimed: set[str] = set()
        for name in view.order:
            node = view.nodes[name]
            if node.op in _ADDITIONS and node.attr["T"].type in FLOAT_TYPES and name not in view.roots.nodes:
                touched = _join(planner, node, edit, claimed)
                claimed |= touched
                count += bool(touched)
        if not claimed:
            return view, count
        planner = ScalePlanner(edit.view(), planner)


def _join(planner: ScalePlanner, node: NodeDef, edit: GraphEdit, claimed: set[str]) -> set[str]:
    """Enter the change for the addition `node` into `edit`; returns the nodes that took part, none if left alone."""
    view = planner.view
    try:
        outer = _per_channel(planner, node)
        inner = view.nodes[outer.source.node]
        if inner.name in claimed or node.name in claimed:
            return set()
        apart = is_small_product(view, inner)
        if inner.op in _FUSED_WITH_BIAS and node.op != ("Sub" if apart else "BiasAdd"):
            put_offset(edit, node, outer.source, outer.values, None if apart else outer.data_format)
            edit.wait_for(node.name, outer.waits)
            return {node.name}
        if inner.op not in _ADDITIONS or view.is_root(inner.name) or len(view.readers(inner.name)) > 1:
            return set()
        first = _per_channel(planner, inner)
    except RefusedError:
        return set()
    if inner.op != "BiasAdd" and view.nodes[first.source.node].op not in LINEAR_OPS:
        return set()
    total = (first.values.astype(np.float64) + outer.values.astype(np.float64)).astype(outer.values.dtype)
    apart = inner.op != "BiasAdd" and is_small_product(view, view.nodes[first.source.node])
    edit.drop(inner.name)
    put_offset(edit, node, first.source, total, None if apart else first.data_format)
    edit.wait_for(node.name, [*outer.waits, *first.waits])
    return {node.name, inner.name}


def _per_channel(planner: ScalePlanner, node: NodeDef) -> _Offset:
    """Return what `node` adds to, and the offset as one value per channel.

    Raises:
        RefusedError: it does not add one constant per channel of a value of known channels and rank.
    """
    view = planner.view
    for index in (1,) if node.op in ("BiasAdd", "Sub") else (1, 0):
        constant = constant_value(view, Tensor.parse(node.input[index]))
        if constant is None:
            continue
        source = Tensor.parse(node.input[1 - index])
        shape = planner.shape(source)
        axis = channel_axis(node if node.op == "BiasAdd" else _with_channels(view, source), len(shape))
        name, value = constant
        expected = (shape[axis], *((1,) * (-axis - 1) if node.op != "BiasAdd" else ()))
        leading = value.shape[: max(0, value.ndim - len(expected))]
        fits = value.shape[len(leading) :] == expected and set(leading) <= {1} and value.ndim <= len(shape)
        if not fits or len(shape) == 1:
            raise RefusedError("it adds something else than one value per channel")
        flat = value.reshape(-1)
        waits = [*view.control_inputs(node.name), *view.control_inputs(name)]
        return _Offset(source, -flat if node.op == "Sub" else flat, axis, waits)
    raise RefusedError("it adds no constant")


def _with_channels(view: GraphView, source: Tensor) -> NodeDef:
    """Return the node that says which axis of `source` has the channels: it, or what it adds a constant to."""
    node = view.nodes[source.node]
    candidates = [node]
    if node.op in _ADDITIONS:
        candidates.extend(view.nodes[tensor.node] for tensor in view.data_inputs(node.name))
    for candidate in candidates:
        if candidate.op == "BiasAdd" or candidate.op in LINEAR_OPS:
            return candidate
    raise RefusedError("nothing in front of it says which axis has the channels")
