"""Taking an attribute off nodes."""

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView

__all__ = ["RemoveAttribute"]


@transform
class RemoveAttribute(GraphPass):
    """Removes the attribute `attribute_name` from every node, or from the nodes of op `op_name`.

    The main graph only. Without an attribute that its op requires the graph does not load; the pipeline's closing check
    finds that.
    """

    name = "remove_attribute"
    summary = "remove an attribute from all nodes or from the nodes of one op"
    arguments = (Argument("attribute_name", required=True), Argument("op_name"))
    bodies = False

    def __init__(self, attribute_name: str, op_name: str = "*") -> None:
        self._attribute = attribute_name
        self._op = op_name

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph without the attribute."""
        edit = GraphEdit(view)
        count = 0
        for node in view:
            if self._attribute in node.attr and self._op in ("*", node.op):
                changed = edit.copy(node.name)
                del changed.attr[self._attribute]
                edit.put(changed)
                count += 1
        return PassResult(edit.view(), {"attributes removed": count}) if count else PassResult(view)
