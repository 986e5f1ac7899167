"""Moving an offset per channel from behind averages, maxima and rearrangements into the biases in front of them.

    f(x + b) + c       =  f(x + (b + c))      (AvgPool, MaxPool, Mean, resizing, Reshape, Transpose and the like)
    concat(x, y) + c   =  concat(x + c1, y + c2)

Only an addition that is there already takes the offset: nothing is added to the graph. Padding with zeros is not
passed, as there the offset would be missing.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from tfs.transforms.factors import Factor, Plan, RefusedError, broadcasts_into, cast_like, channel_axis, constant_value
from tfs.transforms.graph_view import NodeDef, Tensor
from tfs.transforms.scaling import ScalePlanner

__all__ = ["PASSED", "OffsetPlanner"]

_ADDITIONS = ("Add", "AddV2", "BiasAdd", "Sub")


class OffsetPlanner(ScalePlanner):
    """Finds out what moving an offset would change; a `Factor` holds its values here."""

    def _addition(self, node: NodeDef, offset: Factor) -> Plan:
        for index in (1,) if node.op == "BiasAdd" else (1, 0):
            constant = constant_value(self.view, Tensor.parse(node.input[index]))
            if constant is None:
                continue
            name, value = constant
            other = self.shape(Tensor.parse(node.input[1 - index]))
            values = offset.broadcast()
            if node.op == "BiasAdd":
                if not offset.is_scalar and offset.axis != channel_axis(node, len(other)):
                    raise RefusedError(f"its offset varies over another axis than the channels of `{node.name}`")
                values = offset.values
            subtracted = node.op == "Sub" and index == 1
            total = value.astype(np.float64) + (-values if subtracted else values)
            if (node.op == "BiasAdd" and total.shape != value.shape) or not broadcasts_into(total.shape, other):
                raise RefusedError(f"its offset does not fit the constant of `{node.name}`")
            change = self._change(node, index, name, cast_like(total, value, name))
            return Plan((change,), frozenset({node.name}))
        raise RefusedError(f"`{node.name}` adds two computed values")

    handlers: ClassVar[Mapping[str, Callable[["OffsetPlanner", NodeDef, Factor], Plan]]] = {
        **{
            op: ScalePlanner.handlers[op]
            for op in (
                *("BatchToSpaceND", "Concat", "ConcatV2", "ExpandDims", "Identity", "Mean", "MirrorPad", "Reshape"),
                *("AvgPool", "ResizeBilinear", "ResizeNearestNeighbor", "Squeeze", "Transpose"),
                *("Pack", "StridedSlice", "Tile"),
            )
        },
        "MaxPool": ScalePlanner.linear_per_channel,
        **dict.fromkeys(_ADDITIONS, _addition),
    }


PASSED = frozenset(OffsetPlanner.handlers) - frozenset(_ADDITIONS)
