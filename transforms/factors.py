"""Factors per channel, the constants that they change, and what they make of the kernels of linear ops.

    Conv2D, Conv3D             w[...,i,o]      w'[...,o]   = w[...,o]   * m[o]
    DepthwiseConv2dNative      w[h,w,i,q]      w'[h,w,i,q] = w[h,w,i,q] * m[i*Q + q]
    Conv2DBackpropInput        w[h,w,o,i]      w'[..,o,:]  = w[..,o,:]  * m[o]         (Conv3DBackpropInputV2 likewise)
    MatMul, BatchMatMul        w[i,o]          w'[...,o]   = w[...,o]   * m[o]         (transposed: the other axis)
    Einsum                     the kernel's axis whose letter is the result's channel

The arithmetic is in float64; the result is cast once to the kernel's dtype.
"""

from dataclasses import dataclass

import numpy as np

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, attribute

__all__ = [
    "FLOAT_TYPES",
    "LINEAR_OPS",
    "TRANSPOSED_CONVOLUTIONS",
    "Change",
    "Factor",
    "Plan",
    "RefusedError",
    "broadcasts_into",
    "cast_like",
    "channel_axis",
    "computed_from_constants",
    "constant_value",
    "kernel_output_axes",
    "scaled_kernel",
]

FLOAT_TYPES = frozenset({1, 2, 14, 19})  # DT_FLOAT, DT_DOUBLE, DT_BFLOAT16, DT_HALF
TRANSPOSED_CONVOLUTIONS = frozenset({"Conv2DBackpropInput", "Conv3DBackpropInputV2"})
LINEAR_OPS = TRANSPOSED_CONVOLUTIONS | {
    "BatchMatMul",
    "BatchMatMulV2",
    "Conv2D",
    "Conv3D",
    "DepthwiseConv2dNative",
    "Einsum",
    "MatMul",
}


class RefusedError(Exception):
    """A factor cannot be moved; the text says why, as the rest of a sentence about the node that holds the factor."""


@dataclass(frozen=True)
class Factor:
    """A factor for each channel: `values` [C] along `axis` (negative, counted from the end), or one value for all."""

    values: np.ndarray
    axis: int

    @property
    def is_scalar(self) -> bool:
        """Whether there is one factor for everything."""
        return self.values.size == 1

    def broadcast(self) -> np.ndarray:
        """Return the values in a shape that multiplies along the axis."""
        return self.values.reshape(()) if self.is_scalar else self.values.reshape((-1,) + (1,) * (-self.axis - 1))


@dataclass(frozen=True)
class Change:
    """Input `index` of node `node` becomes a constant of this value, named after constant `source`.

    The new constant waits for the nodes that the old one waited for.
    """

    node: str
    index: int
    source: str
    value: np.ndarray
    waits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What moving one factor takes: new constants, and the nodes whose value changes by it."""

    changes: tuple[Change, ...]
    nodes: frozenset[str]

    def apply(self, edit: GraphEdit, constants: dict[tuple[str, bytes], Tensor]) -> None:
        """Enter the changes into `edit`; equal new constants from one source are made once, through `constants`."""
        for change in self.changes:
            key = (change.source, change.value.tobytes())
            if key not in constants:
                constants[key] = edit.constant(f"{change.source}/scaled", change.value)
                edit.wait_for(constants[key].node, change.waits)
            node = edit.copy(change.node)
            node.input[change.index] = str(constants[key])
            edit.put(node)


def constant_value(view: GraphView, tensor: Tensor) -> tuple[str, np.ndarray] | None:
    """Return name and value of the constant behind `tensor`, looking through Identity; None if it is none."""
    while view.nodes[tensor.node].op == "Identity" and not view.is_root(tensor.node):
        if view.control_inputs(tensor.node):
            return None
        tensor = Tensor.parse(view.nodes[tensor.node].input[0])
    value = view.constant(tensor)
    return None if value is None else (tensor.node, value)


def computed_from_constants(view: GraphView) -> set[str]:
    """Return the nodes that depend on nothing but constants."""
    found: set[str] = set()
    for name in view.order:
        node = view.nodes[name]
        data = view.data_inputs(name)
        if node.op == "Const" or (data and all(tensor.node in found for tensor in data)):
            found.add(name)
    return found


def channel_axis(node: NodeDef, rank: int) -> int:
    """Return the axis, counted from the end, that a node's data_format gives to channels."""
    return 1 - rank if attribute(node, "data_format").s.startswith(b"NC") else -1


def broadcasts_into(shape: tuple[int, ...], into: tuple[int | None, ...]) -> bool:
    """Return whether a constant of `shape` combined with a tensor of shape `into` surely leaves that shape."""
    if len(shape) > len(into):
        return False
    pairs = zip(reversed(shape), reversed(into), strict=False)
    return all(size in (1, other) for size, other in pairs)


def scaled_kernel(node: NodeDef, name: str, kernel: np.ndarray, factor: Factor) -> np.ndarray:
    """Return what the kernel of `node`, constant `name`, is after its result is multiplied by `factor`.

    Raises:
        RefusedError: the factor does not have one value for each channel, or the result is beyond the dtype's range.
    """
    return cast_like(kernel.astype(np.float64) * _for_kernel(node, kernel.shape, factor), kernel, name)


def _for_kernel(node: NodeDef, shape: tuple[int, ...], factor: Factor) -> np.ndarray:
    """Return the factor in a shape that multiplies the kernel of `node`."""
    if factor.is_scalar:
        return factor.values.reshape(())
    axes = kernel_output_axes(node, len(shape))
    channels = int(np.prod([shape[axis] for axis in axes]))
    if channels != factor.values.size:
        raise RefusedError(f"it has {factor.values.size} factors for the {channels} channels of `{node.name}`")
    return factor.values.reshape([size if axis in axes else 1 for axis, size in enumerate(shape)])


def kernel_output_axes(node: NodeDef, rank: int) -> frozenset[int]:
    """Return the axes of the kernel of `node` that together make the result's channels.

    Raises:
        RefusedError: there are none.
    """
    return frozenset({2, 3}) if node.op == "DepthwiseConv2dNative" else frozenset({_output_axis(node, rank)})


def _output_axis(node: NodeDef, rank: int) -> int:
    """Return the kernel's axis that makes the result's channels."""
    if node.op == "Einsum":
        terms, result = node.attr["equation"].s.decode().replace(" ", "").split("->")
        letters = terms.split(",")[1]
        if "." in terms or not result or letters.count(result[-1]) != 1:
            raise RefusedError(f"the kernel of `{node.name}` has no axis for the channels")
        return int(letters.index(result[-1]))
    transposed = attribute(node, "transpose_b").b or attribute(node, "adj_y").b or node.op in TRANSPOSED_CONVOLUTIONS
    return rank - 2 if transposed else rank - 1


def cast_like(value: np.ndarray, like: np.ndarray, name: str) -> np.ndarray:
    """Return `value` in the dtype of constant `name`, whose value is `like`; refuse if it does not fit."""
    with np.errstate(over="ignore"):
        cast = value.astype(like.dtype)
    if np.isfinite(like.astype(np.float64)).all() and not np.isfinite(cast.astype(np.float64)).all():
        raise RefusedError(f"`{name}` times the factor is beyond the range of {like.dtype}")
    return cast
