"""How large the ids may be that an integer input holds: as many as there are rows where a graph looks them up."""

from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.tensor_sources import FIRST_INPUT, TensorSources
from tfs.savedmodel.tensors import array_from_proto

__all__ = ["id_ranges"]

_LOOKUPS = {"ResourceGather", "GatherV2", "Gather"}
_AXIS_INPUT = 2
# Behind one of these an id is still the id that came in; the inputs that ids come by.
_KEEP_IDS = {
    **dict.fromkeys(("Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "StridedSlice", "Slice"), FIRST_INPUT),
    **dict.fromkeys(("Transpose", "Tile", "Unique", "Unpack", "SplitV", "Gather", "GatherV2"), FIRST_INPUT),
    **dict.fromkeys(("PlaceholderWithDefault", "StopGradient", "ClipByValue"), FIRST_INPUT),
    **dict.fromkeys(("IdentityN", "Pack", "Maximum", "Minimum"), slice(None)),
    "ConcatV2": slice(-1),
    "Split": slice(1, 2),
}
_KEEP_TABLES = dict.fromkeys(("Identity", "ReadVariableOp", "Enter"), FIRST_INPUT)


def id_ranges(sources: TensorSources) -> dict[str, int]:
    """Return, by the name of each placeholder that holds ids, the number of rows of the smallest table they index.

    An index of `ResourceGather`, `Gather` or `GatherV2` is traced back to its placeholder through function calls and
    ops that keep values; the table is a constant or a variable.
    """
    found: dict[str, int] = {}
    for scope, node in sources.nodes():
        if node.op in _LOOKUPS and len(node.input) >= 2 and (rows := _rows(sources, scope, node)):
            for at, source in sources.of(scope, node.input[1], _KEEP_IDS):
                if source.op == "Placeholder" and not at:
                    found[source.name] = min(rows, found.get(source.name, rows))
    return found


def _rows(sources: TensorSources, scope: str, lookup: Any) -> int:
    """Return how many rows a lookup chooses from; 0 if it is not known."""
    axis = _axis(sources, scope, lookup)
    for _, node in sources.of(scope, lookup.input[0], _KEEP_TABLES):
        if node.op == "Const":
            dims = node.attr["value"].tensor.tensor_shape.dim
        elif "shape" in node.attr:
            dims = node.attr["shape"].shape.dim
        else:
            continue
        if -len(dims) <= axis < len(dims) and dims[axis].size > 0:
            return int(dims[axis].size)
    return 0


def _axis(sources: TensorSources, scope: str, lookup: Any) -> int:
    if lookup.op == "ResourceGather" and "batch_dims" in lookup.attr:
        return int(lookup.attr["batch_dims"].i)
    for text in lookup.input[_AXIS_INPUT : _AXIS_INPUT + 1] if lookup.op == "GatherV2" else ():
        for _, node in sources.of(scope, text, {"Identity": FIRST_INPUT}):
            if node.op == "Const":
                try:
                    return int(array_from_proto(node.attr["value"].tensor).item())
                except (TfsError, ValueError):
                    break
    return 0
