"""Giving a node another name."""

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_pass import Argument, GraphPass, Invariant, PassResult, transform
from tfs.transforms.graph_view import GraphView
from tfs.transforms.renaming import renamed_view

__all__ = ["RenameNode"]


@transform
class RenameNode(GraphPass):
    """Renames node `old_node_name` of the main graph; who reads it, and the signatures, follow.

    A new name that is taken, or an old one that no node has, is an error.
    """

    name = "rename_node"
    summary = "give a node another name"
    arguments = (Argument("old_node_name", required=True), Argument("new_node_name", required=True))
    bodies = False
    invariants = frozenset(Invariant) - {Invariant.ROOTS_STAY, Invariant.NO_NEW_INPUTS}

    def __init__(self, old_node_name: str, new_node_name: str) -> None:
        self._old = old_node_name
        self._new = new_node_name

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with the node renamed."""
        if self._old not in view.nodes:
            raise TfsError(f"the graph has no node `{self._old}`")
        if self._new in view.nodes:
            raise TfsError(f"the graph has a node `{self._new}` already", "choose another new_node_name")
        names = {self._old: self._new}
        renamed = names if view.is_root(self._old) else {}
        return PassResult(renamed_view(view, names), {"nodes renamed": 1}, renamed=renamed)
