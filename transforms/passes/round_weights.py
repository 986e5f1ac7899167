"""Rounding float weights so that the file compresses well."""

from tfs.savedmodel.errors import UsageError
from tfs.transforms.graph_edit import GraphEdit, constant_node
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView, Tensor

__all__ = ["RoundWeights"]

_DT_FLOAT = 1
_MINIMUM_SIZE = 16


@transform
class RoundWeights(GraphPass):
    """Float32 `Const` of 16 elements or more: each value goes to the middle of its bucket of `num_steps` equal ones.

        width = (max - min) / num_steps       v' = min + width * (floor((v - min) / width) + 0.5)

    The maximum counts to the last bucket. Constants of one value stay. The size of the file stays; its entropy sinks.
    """

    name = "round_weights"
    summary = "round float weights to a number of steps, for files that compress well"
    arguments = (Argument("num_steps", int),)
    rounding = 0.05

    def __init__(self, num_steps: int = 256) -> None:
        if num_steps < 1:
            raise UsageError(f"transform `round_weights`: argument `num_steps` must be 1 or more, not `{num_steps}`")
        self._num_steps = num_steps

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with its float constants rounded."""
        import numpy as np

        edit = GraphEdit(view)
        count = 0
        for node in view:
            if node.op != "Const" or node.attr["dtype"].type != _DT_FLOAT or node.name in view.roots.nodes:
                continue
            values = view.constant(Tensor(node.name, 0))
            if values is None or values.size < _MINIMUM_SIZE or not np.isfinite(values).all():
                continue
            low, high = float(values.min()), float(values.max())
            width = (high - low) / self._num_steps
            if width == 0:
                continue
            bucket = np.minimum(np.floor((values.astype(np.float64) - low) / width), self._num_steps - 1)
            rounded = constant_node(node.name, (low + width * (bucket + 0.5)).astype(np.float32), node.device)
            rounded.input.extend(node.input)
            edit.put(rounded)
            count += 1
        return PassResult(edit.view(), {"weights rounded": count}) if count else PassResult(view)
