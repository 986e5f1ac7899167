"""Writing out the attributes that a node leaves to its op's defaults."""

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView
from tfs.transforms.ops import op_definition

__all__ = ["AddDefaultAttributes"]

_ARGUMENTS = frozenset({"_Arg", "_Retval"})


@transform
class AddDefaultAttributes(GraphPass):
    """Gives every node each attribute that it lacks and that its op has a default for, in function bodies too.

    An op that is neither registered nor a function of the library is an error.
    """

    name = "add_default_attributes"
    summary = "write out the attributes that nodes leave to their ops' defaults"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with all attributes that have defaults."""
        functions = {function.signature.name for function in view.library.function}
        edit = GraphEdit(view)
        count = 0
        for node in view:
            definition = op_definition(node.op)
            if definition is None:
                if node.op in functions or node.op in _ARGUMENTS:
                    continue
                raise TfsError(f"node `{node.name}` is of op {node.op}, which is not registered")
            missing = [a for a in definition.attr if a.HasField("default_value") and a.name not in node.attr]
            if missing and node.op not in _ARGUMENTS:
                copy = edit.copy(node.name)
                for attribute in missing:
                    copy.attr[attribute.name].CopyFrom(attribute.default_value)
                edit.put(copy)
                count += len(missing)
        return PassResult(edit.view(), {"attributes added": count}) if count else PassResult(view)
