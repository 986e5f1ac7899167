"""Calls of functions that are one linear op: Keras 3 writes a convolution in groups so, for XLA to compile.

TensorFlow does not inline such a call, and it must stay one: its CPU kernels cannot fuse a grouped convolution.
"""

from typing import NamedTuple

from tfs.transforms.factors import LINEAR_OPS
from tfs.transforms.function_bodies import body_view
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, attribute

__all__ = ["CALL_OPS", "LinearCall", "linear_call"]

CALL_OPS = ("PartitionedCall", "StatefulPartitionedCall")
_AXES = frozenset({"ExpandDims", "Squeeze"})  # around a Conv1D, which is a Conv2D of one row
_AROUND = _AXES | {"Const", "Identity", "NoOp", "_Arg", "_Retval"}
_LAST_SPATIAL = 2  # axis of a Conv2D's kernel and result that has another one behind it for sure


class LinearCall(NamedTuple):
    """The linear op in the body of a call, and which input of the call is its kernel."""

    op: NodeDef
    kernel: int


def linear_call(view: GraphView, call: NodeDef) -> LinearCall | None:
    """Return what a call computes if it is nothing but one linear op with a kernel from outside, else None."""
    wanted = call.attr["f"].func.name
    function = next((f for f in view.library.function if f.signature.name == wanted), None)
    if function is None or len(function.signature.output_arg) != 1:
        return None
    body = body_view(function, view.library)
    if body is None:
        return None
    inner = [node for node in body if node.op in LINEAR_OPS]
    if len(inner) != 1 or any(node.op not in _AROUND for node in body if node is not inner[0]):
        return None
    if any(node.op in _AXES for node in body) and not _is_channels_last_convolution(inner[0]):
        return None
    result = next(node for node in body if node.op == "_Retval")
    kernel = _source(body, Tensor.parse(inner[0].input[1]))
    if _source(body, Tensor.parse(result.input[0])) is not inner[0] or kernel.op != "_Arg":
        return None
    return LinearCall(inner[0], int(kernel.attr["index"].i))


def _source(body: GraphView, tensor: Tensor) -> NodeDef:
    """Return what a tensor comes from, but for Identity and for axes of one element added and removed before the last.

    The channels stay last, of kernel and result.
    """
    node = body.nodes[tensor.node]
    while node.op == "Identity" or (node.op in _AXES and _keeps_last(body, node)):
        node = body.nodes[Tensor.parse(node.input[0]).node]
    return node


def _is_channels_last_convolution(node: NodeDef) -> bool:
    return node.op in ("Conv2D", "Conv3D") and not attribute(node, "data_format").s.startswith(b"NC")


def _keeps_last(body: GraphView, node: NodeDef) -> bool:
    """Return whether the last axis of a convolution's kernel or result is the last one before and after `node`."""
    if node.op == "Squeeze":
        axes = list(attribute(node, "squeeze_dims").list.i)
    else:
        axis = body.constant(Tensor.parse(node.input[1]))
        axes = [] if axis is None else [int(axis.item())]
    return bool(axes) and all(axis < -1 or 0 <= axis <= _LAST_SPATIAL for axis in axes)
