"""Changing the op of nodes."""

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView

__all__ = ["RenameOp"]


@transform
class RenameOp(GraphPass):
    """Makes every node of op `old_op_name` one of op `new_op_name`, in function bodies too; attributes stay.

    Whether the new op takes these inputs and attributes is found when the result is loaded.
    """

    name = "rename_op"
    summary = "change the op of nodes"
    arguments = (Argument("old_op_name", required=True), Argument("new_op_name", required=True))

    def __init__(self, old_op_name: str, new_op_name: str) -> None:
        self._old = old_op_name
        self._new = new_op_name

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with the op renamed."""
        edit = GraphEdit(view)
        found = [node for node in view if node.op == self._old]
        for node in found:
            copy = edit.copy(node.name)
            copy.op = self._new
            edit.put(copy)
        return PassResult(edit.view(), {"ops renamed": len(found)}) if found else PassResult(view)
