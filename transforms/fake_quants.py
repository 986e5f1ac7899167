"""Ranges that training for 8 bits has found and left in the graph as FakeQuant nodes."""

from collections.abc import Mapping
from typing import NamedTuple

from tfs.transforms.factors import RefusedError, constant_value
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Tensor, attribute

__all__ = ["FAKE_QUANTS", "KEEP_RANGE", "Range", "trained_range", "trained_ranges"]

FAKE_QUANTS = frozenset({"FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars"})
# What may stand between a node and the FakeQuant of its result: ops whose result has the range of their first input.
KEEP_RANGE = frozenset({"AvgPool", "MaxPool", "Relu", "Relu6", "Reshape"})
_MAX_BETWEEN = 3
_CODES = 255
_BITS = 8


class Range(NamedTuple):
    """The floats that the codes 0 and 255 stand for; 0 is one of those in between."""

    low: float
    high: float


def trained_range(view: GraphView, node: NodeDef) -> Range:
    """Return the range of a FakeQuant node, moved as its kernel does so that a code stands for 0.

    Raises:
        RefusedError: it has another width than quint8, or its range is no constant.
    """
    if (node.attr["num_bits"].i if "num_bits" in node.attr else _BITS) != _BITS or attribute(node, "narrow_range").b:
        raise RefusedError("it has fewer or more codes than the 256 that the quantized kernels have")
    if node.op == "FakeQuantWithMinMaxArgs":
        # -6 and 6 are what the op takes for granted.
        low, high = (node.attr[key].f if key in node.attr else end for key, end in (("min", -6.0), ("max", 6.0)))
    else:
        ends = [constant_value(view, Tensor.parse(text)) for text in node.input[1:3]]
        if ends[0] is None or ends[1] is None:
            raise RefusedError("its range is no constant")
        low, high = (float(end[1]) for end in ends if end is not None)
    if not low < high or low > 0 or high < 0:
        raise RefusedError(f"its range [{low:g}, {high:g}] does not hold 0")
    step = (high - low) / _CODES
    zero = min(_CODES, max(0, round(-low / step)))
    return Range(-zero * step, (_CODES - zero) * step)


def trained_ranges(view: GraphView) -> Mapping[str, Range]:
    """Return the trained range of each node whose result goes to a FakeQuant alone, through at most three other ops.

    It is by the name of the node, of those in between and of the FakeQuant node itself.
    """
    found: dict[str, Range] = {}
    for node in view:
        if node.op not in FAKE_QUANTS:
            continue
        try:
            wanted = trained_range(view, node)
        except RefusedError:
            continue
        name = node.name
        found[name] = wanted
        for _ in range(_MAX_BETWEEN + 1):
            source = Tensor.parse(view.nodes[name].input[0])
            others = [reader for reader in view.readers(source.node) if reader.port != CONTROL]
            if source.port or len(others) > 1 or view.is_root(source.node):
                break
            name = source.node
            found[name] = wanted
            if view.nodes[name].op not in KEEP_RANGE:
                break
    return found
