"""Computing in bfloat16 on CPUs that have it."""

from pathlib import Path

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView
from tfs.transforms.grappler import run_grappler

__all__ = ["Bfloat16"]

_CPU_INFO = Path("/proc/cpuinfo")
_INSTRUCTIONS = frozenset({"amx_bf16", "avx512_bf16", "bf16"})  # as Linux calls them on x86 and on ARM
_DT_BFLOAT16 = 14
_PASSES = ("auto_mixed_precision_onednn_bfloat16", "dependency", "pruning")


@transform
class Bfloat16(GraphPass):
    """Lets convolutions, matrix products and what stands between them compute in bfloat16, with a Cast at each end.

    TensorFlow chooses the ops (Grappler's `auto_mixed_precision_onednn_bfloat16`): those that gain from it, and those
    between two of these that lose nothing. `fold_constants` behind it stores the kernels in bfloat16 too. It fails on a
    CPU without instructions for bfloat16, where the result would be slower.
    """

    name = "bfloat16"
    summary = "compute in bfloat16 what gains from it, on a CPU that has it"
    bodies = False
    rounding = 0.05

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with its convolutions and matrix products in bfloat16."""
        if not _cpu_has_bfloat16():
            raise TfsError("this CPU has no instructions for bfloat16", "the result would be slower than in float32")
        optimized = run_grappler(view, _PASSES)
        count = sum("T" in node.attr and node.attr["T"].type == _DT_BFLOAT16 for node in optimized)
        return PassResult(optimized, {"nodes in bfloat16": count}) if count else PassResult(view)


def _cpu_has_bfloat16() -> bool:
    return _CPU_INFO.is_file() and not _INSTRUCTIONS.isdisjoint(_CPU_INFO.read_text().split())
