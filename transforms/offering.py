"""Offering the nodes of a graph to a rewriting, one by one."""

from collections.abc import Callable

from tfs.transforms.factors import RefusedError
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import PassResult, Skip
from tfs.transforms.graph_view import GraphView, NodeDef

__all__ = ["rewrite_each"]


def rewrite_each(
    view: GraphView, op: str, rewrite: Callable[[GraphView, GraphEdit, NodeDef], bool], done: str
) -> PassResult:
    """Offer each node of an op to `rewrite`, but for those that init op, assets or saver name.

    Args:
        view: the graph.
        op: the op.
        rewrite: puts what it wants changed around the node into the edit and returns True, or returns False if its
            pattern is not there; a RefusedError says why the pattern stays as it is.
        done: what the report says of the nodes rewritten, after their number.
    """
    edit = GraphEdit(view)
    skipped: list[Skip] = []
    count = 0
    for node in view:
        if node.op != op or node.name in view.roots.nodes:
            continue
        try:
            count += rewrite(view, edit, node)
        except RefusedError as refusal:
            skipped.append(Skip(node.name, str(refusal)))
    if not count:
        return PassResult(view, {}, tuple(skipped))
    return PassResult(edit.view(), {done: count}, tuple(skipped))
