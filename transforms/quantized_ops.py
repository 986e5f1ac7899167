"""The 8-bit counterparts of float ops: which op, which inputs in which order, which attributes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from tfs.transforms.factors import RefusedError
from tfs.transforms.graph_view import NodeDef, Tensor, attribute, node_def
from tfs.transforms.quantization import DT_QUINT8

__all__ = ["COUNTERPARTS", "Counterpart", "Quantized", "counterpart_node", "has_kernel"]

_DT_QINT32 = 13


class Quantized(NamedTuple):
    """A quint8 tensor, and the floats that its codes 0 and 255 stand for."""

    codes: Tensor
    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class Counterpart:
    """The quantized op for a float op.

    Attributes:
        op: its name.
        floats: the inputs of the float op that are quantized; None for all but the first (Concat).
        attributes: attributes taken over by name.
        types: attributes that become quint8.
        wide: the attribute that becomes qint32, if the result has 32 bits.
    """

    op: str
    floats: tuple[int, ...] | None
    attributes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    wide: str = ""


_BOTH = (0, 1)
COUNTERPARTS: Mapping[str, Counterpart] = {
    "Add": Counterpart("QuantizedAdd", _BOTH, (), ("T1", "T2"), "Toutput"),
    "AvgPool": Counterpart("QuantizedAvgPool", (0,), ("ksize", "strides", "padding"), ("T",)),
    "BiasAdd": Counterpart("QuantizedBiasAdd", _BOTH, (), ("T1", "T2"), "out_type"),
    "Concat": Counterpart("QuantizedConcat", None, ("N",), ("T",)),
    "Conv2D": Counterpart("QuantizedConv2D", _BOTH, ("strides", "padding"), ("Tinput", "Tfilter"), "out_type"),
    "Conv2DBackpropInput": Counterpart("QuantizedConv2DTranspose", (1, 2)),
    "MatMul": Counterpart("QuantizedMatMul", _BOTH, ("transpose_a", "transpose_b"), ("T1", "T2"), "Toutput"),
    "MaxPool": Counterpart("QuantizedMaxPool", (0,), ("ksize", "strides", "padding"), ("T",)),
    "Mul": Counterpart("QuantizedMul", _BOTH, (), ("T1", "T2"), "Toutput"),
    "Relu": Counterpart("QuantizedRelu", (0,), (), ("Tinput", "out_type")),
    "Relu6": Counterpart("QuantizedRelu6", (0,), (), ("Tinput", "out_type")),
    "Reshape": Counterpart("QuantizedReshape", (0,), ("Tshape",), ("T",)),
    "ResizeBilinear": Counterpart("QuantizedResizeBilinear", (0,), ("align_corners", "half_pixel_centers"), ("T",)),
}


@cache
def has_kernel(op: str) -> bool:
    """Return whether this TensorFlow has a CPU kernel for an op."""
    from tensorflow.python.framework import kernels

    return any(kernel.device_type == "CPU" for kernel in kernels.get_registered_kernels_for_op(op).kernel)


def counterpart_node(node: NodeDef, name: str, quantize: Callable[[Tensor], Quantized]) -> NodeDef:
    """Return the quantized node for a float node; its outputs are the codes and the two ends of their range.

    Raises:
        RefusedError: TensorFlow has no kernel for it, or none for a node like this one.
    """
    counterpart = COUNTERPARTS[node.op]
    if not has_kernel(counterpart.op):
        raise RefusedError(f"this TensorFlow has no kernel for {counterpart.op}")
    if attribute(node, "data_format").s not in (b"", b"NHWC"):
        raise RefusedError(f"{counterpart.op} takes NHWC only")
    if attribute(node, "padding").s == b"EXPLICIT" or any(size != 1 for size in attribute(node, "dilations").list.i):
        raise RefusedError(f"{counterpart.op} has no dilations and no explicit padding")
    inputs = [Tensor.parse(text) for text in node.input if not text.startswith("^")]
    floats = counterpart.floats if counterpart.floats is not None else tuple(range(1, len(inputs)))
    parts = {index: quantize(inputs[index]) for index in floats}
    data = [parts[index].codes if index in parts else tensor for index, tensor in enumerate(inputs)]
    made = node_def(counterpart.op, name, [*data, *_ranges(node, list(parts.values()))], node.device)
    for key in counterpart.attributes:
        if key in node.attr:
            made.attr[key].CopyFrom(node.attr[key])
    for key in counterpart.types:
        made.attr[key].type = DT_QUINT8
    if counterpart.wide:
        made.attr[counterpart.wide].type = _DT_QINT32
    return made


def _ranges(node: NodeDef, parts: Sequence[Quantized]) -> list[Tensor]:
    """Return the ends of all ranges: pair by pair, for Concat first all low and then all high ones."""
    if node.op == "Concat":
        return [*(part.low for part in parts), *(part.high for part in parts)]
    return [end for part in parts for end in (part.low, part.high)]
