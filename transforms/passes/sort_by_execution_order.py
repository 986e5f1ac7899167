"""Ordering the nodes of a file as they run."""

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView

__all__ = ["SortByExecutionOrder"]


@transform
class SortByExecutionOrder(GraphPass):
    """Puts each node behind what it reads (the back edges of old-style loops do not count), in function bodies too.

    A cycle is an error.
    """

    name = "sort_by_execution_order"
    summary = "put each node behind what it reads"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph in topological order."""
        order = list(view.order)
        if len(order) < len(view):
            name = next(iter(view.nodes.keys() - set(order)))
            raise TfsError(f"node `{name}` depends on itself")
        if order == list(view.nodes):
            return PassResult(view)
        nodes = [view.nodes[name] for name in order]
        return PassResult(GraphView(nodes, view.roots, view.library, view.versions), {"graphs sorted": 1})
