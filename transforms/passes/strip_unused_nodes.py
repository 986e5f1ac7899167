"""Removing what no signature needs."""

from collections.abc import Sequence
from typing import Any

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.protos import load
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, Invariant, PassResult, transform
from tfs.transforms.graph_view import GraphView, NodeDef, node_def
from tfs.transforms.ops import reachable_library

__all__ = ["StripUnusedNodes"]

_INPUT_OPS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "_Arg"})


@transform
class StripUnusedNodes(GraphPass):
    """Keeps what the roots need, looking no further than fed tensors, and the library functions that are left in use.

    A fed node that is no placeholder is replaced by one, since what computes it goes away; unless all inputs that it is
    computed from are fed too, as by another signature that reads what it computes. The arguments say what a new
    placeholder is like: `type` and `shape` for all, `name` with `type_for_name` and `shape_for_name` (paired by
    position) for one.
    """

    name = "strip_unused_nodes"
    summary = "remove nodes and functions that no signature, init op, asset or saver needs"
    arguments = (
        Argument("type"),
        Argument("shape"),
        Argument("name", repeatable=True),
        Argument("type_for_name", repeatable=True),
        Argument("shape_for_name", repeatable=True),
    )
    invariants = frozenset(Invariant) - {Invariant.NO_NEW_INPUTS}

    def __init__(
        self,
        type: str = "float",
        shape: str = "",
        name: Sequence[str] = (),
        type_for_name: Sequence[str] = (),
        shape_for_name: Sequence[str] = (),
    ) -> None:
        for key, given in (("type_for_name", type_for_name), ("shape_for_name", shape_for_name)):
            if given and len(given) != len(name):
                raise UsageError(
                    f"transform `strip_unused_nodes`: {len(name)} `name` and {len(given)} `{key}` given",
                    "give one for each name",
                )
        self._type = _dtype(type)
        self._shape = _shape(shape)
        self._types = dict(zip(name, (_dtype(text) for text in type_for_name), strict=False))
        self._shapes = dict(zip(name, (_shape(text) for text in shape_for_name), strict=False))

    def __call__(self, view: GraphView) -> PassResult:
        """Return the needed part of the graph."""
        for name in view.roots.names:
            if name not in view.nodes:
                raise TfsError(f"the graph has no node `{name}`, which a signature needs")
        edit = GraphEdit(view)
        for tensor in view.roots.fed:
            node = view.nodes[tensor.node]
            replaceable = node.op not in _INPUT_OPS and tensor.port == 0 and tensor.node not in view.roots.nodes
            if replaceable and not _is_computed_from_fed(view, tensor.node):
                edit.put(self._placeholder(node))
        if edit.changed:
            view = edit.view()
        # What computes the default of a placeholder stays: another signature may not feed it.
        needed = view.only(view.ancestors(view.roots.names))
        library = reachable_library(needed)
        done = {}
        if len(needed) < len(view):
            done["nodes removed"] = len(view) - len(needed)
        if len(library.function) < len(view.library.function):
            done["functions removed"] = len(view.library.function) - len(library.function)
        if edit.changed:
            done["fed nodes replaced by placeholders"] = 1
        return PassResult(needed.with_library(library) if done else view, done)

    def _placeholder(self, node: NodeDef) -> NodeDef:
        placeholder = node_def("Placeholder", node.name, device=node.device)
        placeholder.attr["dtype"].type = self._types.get(node.name, self._type)
        placeholder.attr["shape"].shape.CopyFrom(self._shapes.get(node.name, self._shape))
        return placeholder


def _is_computed_from_fed(view: GraphView, name: str) -> bool:
    inputs = {other for other in view.ancestors([name]) if view.nodes[other].op in _INPUT_OPS}
    return bool(inputs) and inputs <= view.roots.fed_names


def _dtype(text: str) -> int:
    """Return the DataType of `float`, `int32`, `DT_FLOAT`, ..."""
    types = load("types_pb2").DataType
    name = text.upper() if text.upper().startswith("DT_") else f"DT_{text.upper()}"
    name = {"DT_FLOAT32": "DT_FLOAT", "DT_FLOAT64": "DT_DOUBLE", "DT_FLOAT16": "DT_HALF"}.get(name, name)
    if name not in types.keys():  # noqa: SIM118  (an enum wrapper, not a dict)
        raise UsageError(f"transform `strip_unused_nodes`: `{text}` is no data type", "as in type=float, type=int32")
    return int(types.Value(name))


def _shape(text: str) -> Any:
    """Return the shape of `1,299,299,3`; an empty text is a scalar, -1 an unknown size."""
    try:
        sizes = [int(size) for size in text.split(",")] if text else []
    except ValueError:
        raise UsageError(f"transform `strip_unused_nodes`: `{text}` is no shape", 'as in shape="1,28,28,3"') from None
    shape = load("tensor_shape_pb2").TensorShapeProto()
    for size in sizes:
        shape.dim.add(size=size)
    return shape
