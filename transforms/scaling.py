"""Moving a factor per channel from behind linear ops into their kernels and biases.

    (x @ w) * m       =  x @ (w * m)         (see `factors` for each op's kernel; also of a call that is one such op)
    (x + b) * m       =  x*m + b*m           (BiasAdd, Add, AddV2, Sub)
    concat(x, y) * m  =  concat(x*m1, y*m2)

Squeeze, ExpandDims, Reshape, Transpose, BatchToSpaceND, Identity, Pack, slices, repetitions, averages, resizing and
padding with zeros or mirrored values are looked through; ReLU and maxima too if no factor is negative: relu(x) * m =
relu(x * m). On the way from the factor to the kernel every node must be read by nobody else, since its value changes.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from tfs.transforms.factors import (
    LINEAR_OPS,
    Change,
    Factor,
    Plan,
    RefusedError,
    broadcasts_into,
    cast_like,
    channel_axis,
    constant_value,
    scaled_kernel,
)
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Tensor, attribute
from tfs.transforms.linear_calls import CALL_OPS, LinearCall, linear_call
from tfs.transforms.slicing import axis_before_slice
from tfs.transforms.static_shapes import StaticShapes

__all__ = ["ScalePlanner"]

_SHAPE_OPS = frozenset({"Rank", "Shape", "ShapeN", "Size"})


class ScalePlanner:
    """Finds out what moving a factor would change.

    Args:
        view: the graph.
        earlier: the planner of the graph from which this one was made by moving factors; it knows most shapes.
    """

    def __init__(self, view: GraphView, earlier: "ScalePlanner | None" = None) -> None:
        self.view = view
        # The shapes of the first graph serve all that were made of it, one step away.
        self.shapes = StaticShapes(view, earlier.first_shapes if earlier else None)
        self.first_shapes: StaticShapes = earlier.first_shapes if earlier else self.shapes

    def rank(self, tensor: Tensor) -> int:
        """Return the rank of a tensor; refuse if it is not known."""
        return len(self.shape(tensor))

    def shape(self, tensor: Tensor) -> tuple[int | None, ...]:
        """Return the sizes of a tensor; refuse if its rank is not known."""
        shape = self.shapes(tensor)
        if shape is None:
            raise RefusedError(f"the rank of `{tensor}` is not known")
        return shape

    def plan(self, tensor: Tensor, factor: Factor, reader: str) -> Plan:
        """Return how `tensor * factor` is reached by changing constants in front of `tensor`, read by `reader` alone.

        Raises:
            RefusedError: it cannot be.
        """
        node = self.view.nodes[tensor.node]
        handler = self.handlers.get(node.op)
        if handler is None:
            raise RefusedError(
                f"its input comes from {node.op} `{node.name}`, which is no convolution or matrix product"
            )
        self._require_sole_reader(node, reader)
        shape = self.shape(tensor)
        if not factor.is_scalar and shape[factor.axis] != factor.values.size:
            raise RefusedError(f"it does not have one factor for each channel of `{node.name}`")
        return handler(self, node, factor)

    def _require_sole_reader(self, node: NodeDef, reader: str) -> None:
        if self.view.is_root(node.name):
            raise RefusedError(f"`{node.name}` is read by a signature")
        readers = self.view.readers(node.name)
        # Who asks for the shape, or only waits, is told the same as before.
        values = (r.node for r in readers if r.port != CONTROL and self.view.nodes[r.node].op not in _SHAPE_OPS)
        others = sorted(set(values) - {reader})
        if others:
            raise RefusedError(f"`{node.name}` is also read by `{others[0]}`")

    def _further(self, node: NodeDef, index: int, factor: Factor, *changes: Change) -> Plan:
        """Return the plan for input `index` of `node`, with `node` itself added."""
        plan = self.plan(Tensor.parse(node.input[index]), factor, node.name)
        return Plan((*changes, *plan.changes), plan.nodes | {node.name})

    def _change(self, node: NodeDef, index: int, source: str, value: np.ndarray) -> Change:
        return Change(node.name, index, source, value, tuple(self.view.control_inputs(source)))

    def _linear(self, node: NodeDef, factor: Factor) -> Plan:
        return self._scaled(node, LinearCall(node, 1), factor)

    def _call(self, node: NodeDef, factor: Factor) -> Plan:
        linear = linear_call(self.view, node)
        if linear is None:
            raise RefusedError(f"the function that `{node.name}` calls is no convolution or matrix product")
        return self._scaled(node, linear, factor)

    def _scaled(self, node: NodeDef, linear: LinearCall, factor: Factor) -> Plan:
        kernel = constant_value(self.view, Tensor.parse(node.input[linear.kernel]))
        if kernel is None:
            raise RefusedError(f"the kernel of `{node.name}` is no constant")
        name, weights = kernel
        if not factor.is_scalar and factor.axis != channel_axis(linear.op, self.rank(Tensor(node.name, 0))):
            raise RefusedError(f"its factor varies over another axis than the channels of `{node.name}`")
        scaled = scaled_kernel(linear.op, name, weights, factor)
        return Plan((self._change(node, linear.kernel, name, scaled),), frozenset({node.name}))

    def _bias_add(self, node: NodeDef, factor: Factor) -> Plan:
        bias = constant_value(self.view, Tensor.parse(node.input[1]))
        if bias is None:
            raise RefusedError(f"the bias of `{node.name}` is no constant")
        if not factor.is_scalar and factor.axis != channel_axis(node, self.rank(Tensor(node.name, 0))):
            raise RefusedError(f"its factor varies over another axis than the channels of `{node.name}`")
        name, value = bias
        scaled = cast_like(value.astype(np.float64) * factor.values.reshape(-1), value, name)
        return self._further(node, 0, factor, self._change(node, 1, name, scaled))

    def _add(self, node: NodeDef, factor: Factor) -> Plan:
        for index in (1, 0):
            offset = constant_value(self.view, Tensor.parse(node.input[index]))
            if offset is None:
                continue
            name, value = offset
            other = self.shape(Tensor.parse(node.input[1 - index]))
            if not broadcasts_into(value.shape, other):
                raise RefusedError(f"the constant of `{node.name}` makes its result wider")
            scaled = cast_like(value.astype(np.float64) * factor.broadcast(), value, name)
            return self._further(node, 1 - index, factor, self._change(node, index, name, scaled))
        raise RefusedError(f"`{node.name}` adds two computed values")

    def _identity(self, node: NodeDef, factor: Factor) -> Plan:
        return self._further(node, 0, factor)

    def _squeeze(self, node: NodeDef, factor: Factor) -> Plan:
        rank = self.rank(Tensor.parse(node.input[0]))
        squeezed = {axis % rank for axis in attribute(node, "squeeze_dims").list.i}
        if not squeezed:
            raise RefusedError(f"`{node.name}` does not say which axes it removes")
        kept = [axis for axis in range(rank) if axis not in squeezed]
        return self._further(node, 0, factor if factor.is_scalar else Factor(factor.values, kept[factor.axis] - rank))

    def _expand_dims(self, node: NodeDef, factor: Factor) -> Plan:
        where = constant_value(self.view, Tensor.parse(node.input[1]))
        if where is None:
            raise RefusedError(f"the axis of `{node.name}` is no constant")
        rank = self.rank(Tensor(node.name, 0))
        added = int(where[1].item()) % rank
        if factor.is_scalar:
            return self._further(node, 0, factor)
        channel = rank + factor.axis
        if channel == added:
            raise RefusedError(f"its factor varies over the axis that `{node.name}` adds")
        before = channel - (channel > added)
        return self._further(node, 0, Factor(factor.values, before - (rank - 1)))

    def _reshape(self, node: NodeDef, factor: Factor) -> Plan:
        shape = self.shape(Tensor.parse(node.input[0]))
        if not factor.is_scalar and (factor.axis != -1 or not shape or shape[-1] != factor.values.size):
            raise RefusedError(f"`{node.name}` does not keep the channels apart")
        return self._further(node, 0, factor)

    def _batch_to_space(self, node: NodeDef, factor: Factor) -> Plan:
        block = self.shape(Tensor.parse(node.input[1]))
        rank = self.rank(Tensor(node.name, 0))
        if not factor.is_scalar and (factor.axis != -1 or block[0] is None or block[0] > rank - 2):
            raise RefusedError(f"`{node.name}` does not keep the channels apart")
        return self._further(node, 0, factor)

    def linear_per_channel(self, node: NodeDef, factor: Factor) -> Plan:
        """Averages, resizing, mirroring and zero padding: each channel by itself, and 0 stays 0."""
        rank = self.rank(Tensor(node.name, 0))
        if not factor.is_scalar and factor.axis != channel_axis(node, rank):
            raise RefusedError(f"its factor varies over another axis than the channels of `{node.name}`")
        return self._further(node, 0, factor)

    def _homogeneous(self, node: NodeDef, factor: Factor) -> Plan:
        """ReLU and maxima: f(x) * m = f(x * m) where m is not negative."""
        if (factor.values < 0).any():
            raise RefusedError(f"a negative factor cannot go through {node.op} `{node.name}`")
        return self.linear_per_channel(node, factor) if "Pool" in node.op else self._further(node, 0, factor)

    def _mean(self, node: NodeDef, factor: Factor) -> Plan:
        axes = constant_value(self.view, Tensor.parse(node.input[1]))
        if axes is None:
            raise RefusedError(f"the axes of `{node.name}` are no constant")
        rank = self.rank(Tensor.parse(node.input[0]))
        gone = {int(axis) % rank for axis in axes[1].reshape(-1)}
        left = list(range(rank)) if attribute(node, "keep_dims").b else [a for a in range(rank) if a not in gone]
        if factor.is_scalar:
            return self._further(node, 0, factor)
        channel = left[factor.axis]
        if channel in gone:
            raise RefusedError(f"`{node.name}` averages over the channels")
        return self._further(node, 0, Factor(factor.values, channel - rank))

    def _transpose(self, node: NodeDef, factor: Factor) -> Plan:
        order = constant_value(self.view, Tensor.parse(node.input[1]))
        if order is None:
            raise RefusedError(f"the order of `{node.name}` is no constant")
        if factor.is_scalar:
            return self._further(node, 0, factor)
        return self._further(node, 0, Factor(factor.values, int(order[1][factor.axis]) - len(order[1])))

    def _concat(self, node: NodeDef, factor: Factor) -> Plan:
        data = list(range(len(self.view.data_inputs(node.name))))
        at = data.pop(0 if node.op == "Concat" else -1)
        where = constant_value(self.view, Tensor.parse(node.input[at]))
        if where is None:
            raise RefusedError(f"the axis of `{node.name}` is no constant")
        rank = self.rank(Tensor(node.name, 0))
        along_channels = not factor.is_scalar and int(where[1].item()) % rank == rank + factor.axis
        plans, start = [], 0
        for index in data:
            part = factor
            if along_channels:
                size = self.shape(Tensor.parse(node.input[index]))[factor.axis]
                if size is None:
                    raise RefusedError(f"`{node.name}` joins an unknown number of channels")
                part = Factor(factor.values[start : start + size], factor.axis)
                start += size
            plans.append(self._further(node, index, part))
        return self._joined(node, plans)

    def _joined(self, node: NodeDef, plans: list[Plan]) -> Plan:
        """Return the plan of all inputs of `node`."""
        changes = tuple(change for plan in plans for change in plan.changes)
        if len({(change.node, change.index) for change in changes}) < len(changes):
            raise RefusedError(f"`{node.name}` joins the same value twice")
        return Plan(changes, frozenset().union(*(plan.nodes for plan in plans)))

    def _pack(self, node: NodeDef, factor: Factor) -> Plan:
        rank = self.rank(Tensor(node.name, 0))
        added, part = attribute(node, "axis").i % rank, factor
        if not factor.is_scalar:
            channel = rank + factor.axis
            if channel == added:
                raise RefusedError(f"its factor varies over the axis that `{node.name}` adds")
            part = Factor(factor.values, channel - (channel > added) - (rank - 1))
        return self._joined(node, [self._further(node, index, part) for index in range(len(node.input))])

    def _strided_slice(self, node: NodeDef, factor: Factor) -> Plan:
        if factor.is_scalar:
            return self._further(node, 0, factor)
        rank = self.rank(Tensor.parse(node.input[0]))
        return self._further(node, 0, Factor(factor.values, axis_before_slice(self.view, node, rank, factor.axis)))

    def _tile(self, node: NodeDef, factor: Factor) -> Plan:
        times = constant_value(self.view, Tensor.parse(node.input[1]))
        if not factor.is_scalar and (times is None or times[1][factor.axis] != 1):
            raise RefusedError(f"`{node.name}` repeats the channels")
        return self._further(node, 0, factor)

    handlers: ClassVar[Mapping[str, Callable[[Any, NodeDef, Factor], Plan]]] = {
        **dict.fromkeys(LINEAR_OPS, _linear),
        **dict.fromkeys(CALL_OPS, _call),
        "BiasAdd": _bias_add,
        **dict.fromkeys(("Add", "AddV2", "Sub"), _add),
        **dict.fromkeys(("Identity", "StopGradient", "PreventGradient"), _identity),
        "Squeeze": _squeeze,
        "ExpandDims": _expand_dims,
        "Reshape": _reshape,
        "BatchToSpaceND": _batch_to_space,
        "Pack": _pack,
        "StridedSlice": _strided_slice,
        "Tile": _tile,
        "Mean": _mean,
        "Transpose": _transpose,
        **dict.fromkeys(("AvgPool", "AvgPool3D", "ResizeBilinear", "ResizeNearestNeighbor"), linear_per_channel),
        **dict.fromkeys(("Pad", "MirrorPad"), _identity),
        **dict.fromkeys(("MaxPool", "MaxPool3D", "Relu", "LeakyRelu"), _homogeneous),
        **dict.fromkeys(("Concat", "ConcatV2"), _concat),
    }
