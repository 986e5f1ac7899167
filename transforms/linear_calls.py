"""Calls of functions that are one linear op: Keras 3 writes a convolution in groups so, for XLA to compile.

TensorFlow does not inline such a call, and it must stay one: its CPU kernels cannot fuse a grouped convolution.
"""

from typing import NamedTuple

from tfs.transforms.factors import LINEAR_OPS
from tfs.transforms.function_bodies import body_view
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor

__all__ = ["CALL_OPS", "LinearCall", "linear_call"]

CALL_OPS = ("PartitionedCall", "StatefulPartitionedCall")
_AROUND = frozenset({"Identity", "NoOp", "_Arg", "_Retval"})


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
    inner = [node for node in body if node.op not in _AROUND]
    if len(inner) != 1 or inner[0].op not in LINEAR_OPS:
        return None
    result = next(node for node in body if node.op == "_Retval")
    kernel = _behind_identities(body, Tensor.parse(inner[0].input[1]))
    if _behind_identities(body, Tensor.parse(result.input[0])) is not inner[0] or kernel.op != "_Arg":
        return None
    return LinearCall(inner[0], int(kernel.attr["index"].i))


def _behind_identities(body: GraphView, tensor: Tensor) -> NodeDef:
    node = body.nodes[tensor.node]
    while node.op == "Identity":
        node = body.nodes[Tensor.parse(node.input[0]).node]
    return node
