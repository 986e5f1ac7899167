"""Giving an attribute another name."""

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView

__all__ = ["RenameAttribute"]


@transform
class RenameAttribute(GraphPass):
    """Renames attribute `old_attribute_name` of every node, or of the nodes of op `op_name`; in function bodies too."""

    name = "rename_attribute"
    summary = "give an attribute another name"
    arguments = (
        Argument("old_attribute_name", required=True),
        Argument("new_attribute_name", required=True),
        Argument("op_name"),
    )

    def __init__(self, old_attribute_name: str, new_attribute_name: str, op_name: str = "*") -> None:
        self._old = old_attribute_name
        self._new = new_attribute_name
        self._op = op_name

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with the attribute renamed."""
        edit = GraphEdit(view)
        count = 0
        for node in view:
            if self._old in node.attr and self._op in ("*", node.op):
                copy = edit.copy(node.name)
                copy.attr[self._new].CopyFrom(node.attr[self._old])
                del copy.attr[self._old]
                edit.put(copy)
                count += 1
        return PassResult(edit.view(), {"attributes renamed": count}) if count else PassResult(view)
