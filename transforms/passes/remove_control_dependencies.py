"""Dropping control edges."""

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView

__all__ = ["RemoveControlDependencies"]


@transform
class RemoveControlDependencies(GraphPass):
    """Drops every control input of the main graph: asserts, prints and assignments that nothing reads then go.

    Kept are those of the init op, the saver and all that they need, which are made of control edges.
    """

    name = "remove_control_dependencies"
    summary = "drop all control edges but those of init op and saver"
    bodies = False

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph without control edges."""
        kept = view.ancestors(view.roots.nodes)
        edit = GraphEdit(view)
        count = 0
        for node in view:
            data = [text for text in node.input if not text.startswith("^")]
            if node.name in kept or len(data) == len(node.input):
                continue
            count += len(node.input) - len(data)
            copy = edit.copy(node.name)
            del copy.input[:]
            copy.input.extend(data)
            edit.put(copy)
        return PassResult(edit.view(), {"control edges dropped": count}) if count else PassResult(view)
