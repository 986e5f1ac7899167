"""How large the ids may be that an integer input holds: as many as there are rows where it looks them up."""

from tfs.transforms.factors import constant_value
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, attribute

__all__ = ["id_ranges"]

# Ops whose result has values of their first input only.
_REARRANGING = frozenset(
    {
        "Cast",
        "ConcatV2",
        "ExpandDims",
        "GatherV2",
        "Identity",
        "Pack",
        "Reshape",
        "Split",
        "Squeeze",
        "StridedSlice",
        "Tile",
        "Transpose",
        "Unique",
        "Unpack",
    }
)
_LOOKUPS = frozenset({"Gather", "GatherV2", "ResourceGather"})


def id_ranges(view: GraphView) -> dict[str, int]:
    """Return, for each fed node that constants are looked up by, the number of rows of the smallest of them."""
    found: dict[str, int] = {}
    for tensor in view.roots.fed:
        rows = [size for size in _rows(view, tensor) if size > 0]
        if rows:
            found[tensor.node] = min(rows)
    return found


def _rows(view: GraphView, fed: Tensor) -> list[int]:
    sizes: list[int] = []
    todo, seen = [fed.node], {fed.node}
    while todo:
        name = todo.pop()
        for reader in view.readers(name):
            node = view.nodes[reader.node]
            if node.op in _LOOKUPS and reader.slot == 1:
                sizes.append(_looked_up(view, node))
            elif node.op in _REARRANGING and (reader.slot == 0 or node.op in ("ConcatV2", "Pack")):
                todo.extend({node.name} - seen)
                seen.add(node.name)
    return sizes


def _looked_up(view: GraphView, node: NodeDef) -> int:
    """Return the number of rows that `node` chooses from, 0 if it is not known."""
    source = view.nodes[Tensor.parse(node.input[0]).node]
    while source.op == "Identity":
        source = view.nodes[Tensor.parse(source.input[0]).node]
    # A constant has its shape with its value, a variable that stayed one as an attribute.
    value = attribute(source, "value").tensor.tensor_shape
    shape = [dim.size for dim in (value if source.op == "Const" else attribute(source, "shape").shape).dim]
    axis = constant_value(view, Tensor.parse(node.input[2])) if node.op == "GatherV2" else None
    at = int(axis[1].item()) if axis is not None else 0
    return int(shape[at]) if shape and -len(shape) <= at < len(shape) else 0
