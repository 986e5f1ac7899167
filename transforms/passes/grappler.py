"""Running TensorFlow's own graph optimizer."""

from tfs.savedmodel.errors import UsageError
from tfs.transforms.graph_pass import Argument, GraphPass, Invariant, PassResult, transform
from tfs.transforms.graph_view import GraphView
from tfs.transforms.grappler import OPTIMIZERS, run_grappler

__all__ = ["Grappler"]


@transform
class Grappler(GraphPass):
    """Runs the passes of Grappler that `passes` lists (`"constfold,dependency"`), or those that a session would.

    What it makes for one run of one process (ops whose names begin with `_`) does not belong into a file: if a pass
    makes such a node, the transform fails. `debug_stripper` drops Assert, CheckNumerics and Print.
    """

    name = "grappler"
    summary = "run TensorFlow's own graph optimizer"
    bodies = False
    arguments = (Argument("passes"),)
    invariants = frozenset(Invariant)

    def __init__(self, passes: str = "") -> None:
        self._passes = [name for name in passes.replace(",", " ").split() if name]
        unknown = [name for name in self._passes if name not in OPTIMIZERS]
        if unknown:  # Grappler itself would do nothing, without a word
            raise UsageError(
                f"transform `grappler`: there is no pass `{unknown[0]}`", f"there are: {', '.join(sorted(OPTIMIZERS))}"
            )

    def __call__(self, view: GraphView) -> PassResult:
        """Return what Grappler makes of the graph."""
        optimized = run_grappler(view, self._passes)
        before, after = (graph.graph_def.SerializeToString(deterministic=True) for graph in (view, optimized))
        return PassResult(view) if before == after else PassResult(optimized, {"runs": 1})
