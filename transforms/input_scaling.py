"""Moving constant factors and offsets per channel from in front of linear ops into their kernels and biases.

    (x * m) @ w  =  x @ w'           w'[i, o] = m[i] * w[i, o]
    (x + b) @ w  =  x @ w + c        c[o]     = sum over i of b[i] * w[i, o]

The same for convolutions, where an offset needs one that pads nothing (VALID, or a kernel of one element): on padded
borders there is less to add up. Identity, Reshape, Squeeze, ExpandDims, slices and repetitions that keep the channels
last are looked through, for factors zero padding too. Whoever reads the value has to take the change, or it stays.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfs.transforms.bias import is_small_product, put_offset
from tfs.transforms.factors import (
    LINEAR_OPS,
    TRANSPOSED_CONVOLUTIONS,
    Change,
    Factor,
    Plan,
    RefusedError,
    cast_like,
    channel_axis,
    constant_value,
    kernel_output_axes,
)
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Reader, Tensor, attribute
from tfs.transforms.scaling import ScalePlanner
from tfs.transforms.slicing import axis_before_slice

__all__ = ["Consumer", "consumers", "move_factor", "move_offset"]

_SHAPING = frozenset({"Identity", "StopGradient", "PreventGradient", "Reshape", "Squeeze", "ExpandDims", "Tile"})
_SLICE = "StridedSlice"
_SHAPES = frozenset({"Shape", "Size", "Rank"})  # read it, but not its values
_PADDING = frozenset({"Pad", "MirrorPad"})
_MATRIX_RANK = 2


class Consumer(NamedTuple):
    """A linear op that reads a value, with its kernel: the constant's name and content."""

    node: NodeDef
    kernel: str
    weights: np.ndarray


def consumers(planner: ScalePlanner, source: NodeDef, factor: Factor, *, is_offset: bool) -> list[Consumer]:
    """Return the linear ops that read the result of `source`, which holds `factor`.

    Raises:
        RefusedError: something reads it that cannot take a factor (or an offset) on its input.
    """
    found = list(_consumers(planner, source, factor, is_offset))
    if not found:
        raise RefusedError("nothing reads it")
    return found


def _consumers(planner: ScalePlanner, source: NodeDef, factor: Factor, is_offset: bool) -> Iterator[Consumer]:
    view = planner.view
    if view.is_root(source.name):
        raise RefusedError(f"`{source.name}` is read by a signature")
    for reader in view.readers(source.name):
        node = view.nodes[reader.node]
        if reader.port == CONTROL:
            raise RefusedError(f"`{node.name}` waits for it")
        if node.op in _SHAPES:
            continue
        if node.op in LINEAR_OPS:
            yield _consumer(planner, node, reader, factor, is_offset)
        elif node.op in _SHAPING or node.op == _SLICE or (node.op in _PADDING and not is_offset):
            if reader.slot != 0 or not (factor.is_scalar or _keeps_channels(planner, node, factor)):
                raise RefusedError(f"`{node.name}` does not keep the channels apart")
            yield from _consumers(planner, node, factor, is_offset)
        else:
            raise RefusedError(f"its result goes into {node.op} `{node.name}`")


def _keeps_channels(planner: ScalePlanner, node: NodeDef, factor: Factor) -> bool:
    before, after = planner.shape(Tensor.parse(node.input[0])), planner.shape(Tensor(node.name, 0))
    size = factor.values.size
    if node.op == _SLICE and (not after or axis_before_slice(planner.view, node, len(before), -1) != -1):
        return False
    return factor.axis == -1 and bool(after) and before[-1] == size and after[-1] == size


def _consumer(planner: ScalePlanner, node: NodeDef, reader: Reader, factor: Factor, is_offset: bool) -> Consumer:
    kernel = constant_value(planner.view, Tensor.parse(node.input[1]))
    if kernel is None:
        raise RefusedError(f"the kernel of `{node.name}` is no constant")
    if reader.slot != (2 if node.op in TRANSPOSED_CONVOLUTIONS else 0):
        raise RefusedError(f"`{node.name}` takes it for something else than its input")
    if attribute(node, "transpose_a").b or attribute(node, "adj_x").b:
        raise RefusedError(f"`{node.name}` transposes it")
    if not factor.is_scalar and factor.axis != channel_axis(node, planner.rank(Tensor.parse(node.input[reader.slot]))):
        raise RefusedError(f"it varies over another axis than the channels of `{node.name}`")
    if is_offset:
        _require_no_borders(node, kernel[1])
    return Consumer(node, *kernel)


def _require_no_borders(node: NodeDef, weights: np.ndarray) -> None:
    if node.op in TRANSPOSED_CONVOLUTIONS:
        raise RefusedError(f"`{node.name}` adds up fewer values at its borders")
    padding = attribute(node, "padding").s
    if padding and padding != b"VALID" and (padding != b"SAME" or any(size != 1 for size in weights.shape[:-2])):
        raise RefusedError(f"`{node.name}` pads its input with zeros")
    if node.op.startswith("BatchMatMul") and weights.ndim != _MATRIX_RANK:
        raise RefusedError(f"`{node.name}` has several kernels")


def _on_kernel(consumer: Consumer, factor: Factor) -> np.ndarray:
    """Return the values of `factor` in a shape that goes with the kernel's input channels."""
    node, shape, values = consumer.node, consumer.weights.shape, factor.values
    if factor.is_scalar:
        return values.reshape(())
    axis = _input_axis(node, shape)
    if shape[axis] == values.size:
        return values.reshape([-1 if index == axis else 1 for index in range(len(shape))])
    if node.op not in ("Conv2D", "Conv3D") or values.size % shape[axis] or shape[-1] % (values.size // shape[axis]):
        raise RefusedError(f"`{node.name}` has no kernel value for each of its {values.size} channels")
    # A grouped convolution: output channel o sees the input channels of its group alone.
    groups = values.size // shape[axis]
    by_output = np.repeat(values.reshape(groups, shape[axis]), shape[-1] // groups, axis=0)
    return by_output.T.reshape((1,) * (len(shape) - 2) + (shape[axis], shape[-1]))


def _input_axis(node: NodeDef, shape: tuple[int, ...]) -> int:
    rank = len(shape)
    if node.op == "Einsum":
        terms, result = node.attr["equation"].s.decode().replace(" ", "").split("->")
        of_input, of_kernel = terms.split(",")
        letter = of_input[-1:]
        if "." in terms or of_kernel.count(letter) != 1 or letter in result:
            raise RefusedError(f"`{node.name}` does not sum over the channels")
        return int(of_kernel.index(letter))
    if node.op in TRANSPOSED_CONVOLUTIONS or attribute(node, "transpose_b").b or attribute(node, "adj_y").b:
        return rank - 1
    return rank - 2


def move_factor(view: GraphView, found: list[Consumer], factor: Factor) -> Plan:
    """Return how the kernels of `found` take the factor.

    Raises:
        RefusedError: a kernel does not go with it, or would leave its dtype's range.
    """
    changes = []
    for consumer in found:
        scaled = consumer.weights.astype(np.float64) * _on_kernel(consumer, factor)
        value = cast_like(scaled, consumer.weights, consumer.kernel)
        changes.append(
            Change(consumer.node.name, 1, consumer.kernel, value, tuple(view.control_inputs(consumer.kernel)))
        )
    return Plan(tuple(changes), frozenset(consumer.node.name for consumer in found))


def move_offset(view: GraphView, edit: GraphEdit, found: list[Consumer], offset: Factor) -> None:
    """Let an addition behind each of `found`, under its name, add what the offset comes to.

    Raises:
        RefusedError: a kernel does not go with it; `edit` is unchanged then.
    """
    sums = []
    for consumer in found:
        outputs = kernel_output_axes(consumer.node, len(consumer.weights.shape))
        parts = consumer.weights.astype(np.float64) * _on_kernel(consumer, offset)
        others = tuple(axis for axis in range(parts.ndim) if axis not in outputs)
        total = parts.sum(axis=others).reshape(-1)
        sums.append(cast_like(total, consumer.weights, consumer.kernel))
    for consumer, total in zip(found, sums, strict=True):
        node = consumer.node
        linear = edit.copy(node.name)
        linear.name = edit.fresh_name(f"{node.name}/linear")
        data_format = b"NCHW" if attribute(node, "data_format").s.startswith(b"NC") else b"NHWC"
        put_offset(edit, node, edit.put(linear), total, None if is_small_product(view, node) else data_format)
