"""What a graph says about the values that its inputs may have: ids within a table, words of a vocabulary, examples.

An integer input that indexes a table (`ResourceGather`, `GatherV2`) is traced from the gather back to its placeholder,
through function calls and ops that keep values; the table's first dimension is the range of the ids.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import SERVE_TAG, meta_graph, read_saved_model
from tfs.savedmodel.tables import table_contents
from tfs.savedmodel.tensors import array_from_proto

__all__ = ["ExampleFeature", "InputHints", "hints_of", "read_hints"]

_GATHERS = {"ResourceGather", "GatherV2", "Gather"}
# The index of a gather after one of these is still the id that came in.
_KEEP_VALUES = {
    *("Identity", "IdentityN", "Cast", "Reshape", "ExpandDims", "Squeeze", "StridedSlice", "Transpose", "Unique"),
    *("PlaceholderWithDefault", "StopGradient", "ConcatV2", "Pack", "Maximum", "Minimum", "ClipByValue", "Unpack"),
}
_KEEP_TABLES = {"Identity", "ReadVariableOp", "Enter"}
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_MAX_WORDS = 1000


@dataclass(frozen=True)
class ExampleFeature:
    """A feature that a graph parses out of serialized examples.

    Attributes:
        dtype: number of its DataType: float (1), string (7) or int64 (9).
        size: how many values an example needs; None for any number.
    """

    dtype: int
    size: int | None


@dataclass(frozen=True)
class InputHints:
    """What is known of a model's inputs.

    Attributes:
        id_ranges: by the name of a placeholder, how many ids the smallest table has that it indexes.
        words: of all vocabularies, in their order.
        features: what its serialized examples hold, by key; empty if it parses none.
    """

    id_ranges: dict[str, int] = field(default_factory=dict)
    words: tuple[bytes, ...] = ()
    features: dict[str, ExampleFeature] = field(default_factory=dict)


def read_hints(directory: Path) -> InputHints:
    """Return the hints in the `serve` graph of a version directory, its vocabularies among them.

    Raises:
        TfsError: `directory` is no readable SavedModel.
    """
    return hints_of(meta_graph(read_saved_model(directory), directory, (SERVE_TAG,)), directory)


def hints_of(graph: Any, directory: Path) -> InputHints:
    """Return the hints in a MetaGraphDef that was read from `directory`."""
    scopes = _Scopes(graph.graph_def)
    ranges: dict[str, int] = {}
    for function, node in scopes.nodes():
        if node.op in _GATHERS and len(node.input) >= 2:
            rows = scopes.rows(function, node.input[0])
            for placeholder in scopes.placeholders(function, node.input[1]) if rows else ():
                ranges[placeholder] = min(rows, ranges.get(placeholder, rows))
    words = [*_asset_words(graph, directory), *(word for word in table_contents(graph.graph_def) if word)]
    return InputHints(ranges, tuple(dict.fromkeys(words))[:_MAX_WORDS], scopes.features())


def _asset_words(graph: Any, directory: Path) -> Iterator[bytes]:
    for asset in graph.asset_file_def:
        file = directory / "assets" / asset.filename
        try:
            with file.open("rb") as lines:
                for _, line in zip(range(_MAX_WORDS), lines, strict=False):
                    # A line may hold further columns.
                    yield line.rstrip(b"\r\n").split(b"\t")[0]
        except OSError:
            continue


class _Scopes:
    """The graph and its functions, with where each function's arguments come from."""

    def __init__(self, graph_def: Any) -> None:
        self._nodes = {"": {node.name: node for node in graph_def.node}}
        self._arguments: dict[str, list[str]] = {}
        for function in graph_def.library.function:
            name = function.signature.name
            self._nodes[name] = {node.name: node for node in function.node_def}
            self._arguments[name] = [argument.name for argument in function.signature.input_arg]
        self._callers: dict[str, list[tuple[str, Any]]] = {}
        for scope, node in self.nodes():
            if node.op in _CALLS:
                self._callers.setdefault(node.attr["f"].func.name, []).append((scope, node))

    def nodes(self) -> Iterator[tuple[str, Any]]:
        for scope, nodes in self._nodes.items():
            for node in nodes.values():
                yield scope, node

    def sources(self, scope: str, tensor: str, through: set[str]) -> Iterator[tuple[str, Any]]:
        """Yield the nodes that a tensor comes from, past ops in `through` and past arguments of functions."""
        waiting, seen = [(scope, tensor.split(":", maxsplit=1)[0])], set()
        while waiting:
            place = waiting.pop()
            if place in seen or place[1].startswith("^"):
                continue
            seen.add(place)
            scope, name = place
            node = self._nodes[scope].get(name)
            if node is None and name in self._arguments.get(scope, ()):
                position = self._arguments[scope].index(name)
                calls = [call for call in self._callers.get(scope, ()) if position < len(call[1].input)]
                waiting += [(caller, call.input[position].split(":")[0]) for caller, call in calls]
            elif node is not None and node.op in through:
                waiting += [(scope, source.split(":")[0]) for source in node.input]
            elif node is not None:
                yield scope, node

    def rows(self, scope: str, tensor: str) -> int:
        """Return the first dimension of a table; 0 if it is not known."""
        for _, node in self.sources(scope, tensor, _KEEP_TABLES):
            if node.op == "Const":
                shape = node.attr["value"].tensor.tensor_shape
            elif "shape" in node.attr:
                shape = node.attr["shape"].shape
            else:
                continue
            if len(shape.dim) and shape.dim[0].size > 0:
                return int(shape.dim[0].size)
        return 0

    def placeholders(self, scope: str, tensor: str) -> list[str]:
        found = self.sources(scope, tensor, _KEEP_VALUES)
        return [node.name for at, node in found if node.op == "Placeholder" and not at]

    def features(self) -> dict[str, ExampleFeature]:
        features: dict[str, ExampleFeature] = {}
        for scope, node in self.nodes():
            if node.op == "ParseExampleV2" and len(node.input) >= 4:
                sparse, dense = (self._strings(scope, node.input[number]) for number in (2, 3))
                features |= {
                    key: ExampleFeature(dtype, None)
                    for key, dtype in zip(sparse, node.attr["sparse_types"].list.type, strict=False)
                }
                shapes = [shape.dim for shape in node.attr["dense_shapes"].list.shape]
                for key, dtype, dims in zip(dense, node.attr["Tdense"].list.type, shapes, strict=False):
                    size = 1
                    for dim in dims:
                        size *= max(dim.size, 1)
                    features[key] = ExampleFeature(dtype, size)
        return features

    def _strings(self, scope: str, tensor: str) -> list[str]:
        for _, node in self.sources(scope, tensor, {"Identity"}):
            if node.op == "Const":
                try:
                    return [key.decode() for key in array_from_proto(node.attr["value"].tensor).ravel()]
                except (TfsError, UnicodeDecodeError):
                    return []
        return []
