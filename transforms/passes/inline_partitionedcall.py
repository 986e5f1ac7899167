"""Bringing function calls into the main graph."""

from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView
from tfs.transforms.inlining import inline_functions

__all__ = ["InlinePartitionedCall"]

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


@transform
class InlinePartitionedCall(GraphPass):
    """Replaces `PartitionedCall` and `StatefulPartitionedCall` of the main graph by the nodes of the called function.

    `tfs optimize` has done so before the first transform; here it is for lists that name it. Calls marked for XLA stay.
    """

    name = "inline_partitionedcall"
    summary = "replace calls by the nodes of the called function (done before the first transform)"
    bodies = False

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with calls inlined."""
        calls = sum(node.op in _CALLS for node in view)
        if not calls:
            return PassResult(view)
        inlined = inline_functions(view)
        left = sum(node.op in _CALLS for node in inlined)
        return PassResult(inlined, {"calls inlined": calls - left}) if left < calls else PassResult(view)
