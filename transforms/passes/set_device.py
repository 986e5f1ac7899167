"""Placing nodes on a device."""

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView

__all__ = ["SetDevice", "with_devices"]

_ARGUMENTS = frozenset({"_Arg", "_Retval"})


@transform
class SetDevice(GraphPass):
    """Sets the device of every node, or with `if_default` of those that have none, in function bodies too."""

    name = "set_device"
    summary = "place every node, or every node without a device, on one device"
    arguments = (Argument("device"), Argument("if_default", bool))

    def __init__(self, device: str = "", if_default: bool = False) -> None:
        self._device = device
        self._if_default = if_default

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with devices."""
        return with_devices(view, self._device, if_default=self._if_default)


def with_devices(view: GraphView, device: str, *, if_default: bool) -> PassResult:
    """Return the graph with the device of every node (`if_default`: of those that have none) set to `device`."""
    edit = GraphEdit(view)
    count = 0
    for node in view:
        if node.device != device and not (if_default and node.device) and node.op not in _ARGUMENTS:
            copy = edit.copy(node.name)
            copy.device = device
            edit.put(copy)
            count += 1
    return PassResult(edit.view(), {"devices changed": count}) if count else PassResult(view)
