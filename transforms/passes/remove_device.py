"""Taking nodes off the devices that they were placed on."""

from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView
from tfs.transforms.passes.set_device import with_devices

__all__ = ["RemoveDevice"]


@transform
class RemoveDevice(GraphPass):
    """Clears the device of every node, in function bodies too."""

    name = "remove_device"
    summary = "clear the device of every node"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph without devices."""
        return with_devices(view, "", if_default=False)
