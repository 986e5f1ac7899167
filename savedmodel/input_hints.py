"""What a graph says about the values that its inputs may have: ids within a table, words of a vocabulary, examples."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.id_ranges import id_ranges
from tfs.savedmodel.reading import SERVE_TAG, meta_graph, read_saved_model
from tfs.savedmodel.tables import table_contents
from tfs.savedmodel.tensor_sources import FIRST_INPUT, TensorSources
from tfs.savedmodel.tensors import array_from_proto

__all__ = ["ExampleFeature", "InputHints", "hints_of", "read_hints"]

_MAX_WORDS = 1000
# The inputs of ParseExampleV2.
_SERIALIZED, _SPARSE_KEYS, _DENSE_KEYS, _RAGGED_KEYS = 0, 2, 3, 4
_KEEP_STRINGS = dict.fromkeys(("Identity", "Reshape", "ExpandDims", "Squeeze", "PlaceholderWithDefault"), FIRST_INPUT)


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
        examples: the features that belong to each input of examples, by the name of its placeholder; empty if they
            could not be traced.
    """

    id_ranges: dict[str, int] = field(default_factory=dict)
    words: tuple[bytes, ...] = ()
    features: dict[str, ExampleFeature] = field(default_factory=dict)
    examples: dict[str, dict[str, ExampleFeature]] = field(default_factory=dict)


def read_hints(directory: Path) -> InputHints:
    """Return the hints in the `serve` graph of a version directory, its vocabularies among them.

    Raises:
        TfsError: `directory` is no readable SavedModel.
    """
    return hints_of(meta_graph(read_saved_model(directory), directory, (SERVE_TAG,)), directory)


def hints_of(graph: Any, directory: Path) -> InputHints:
    """Return the hints in a MetaGraphDef that was read from `directory`."""
    sources = TensorSources(graph.graph_def)
    words = [*_asset_words(graph, directory), *(word for word in table_contents(graph.graph_def) if word)]
    features: dict[str, ExampleFeature] = {}
    examples: dict[str, dict[str, ExampleFeature]] = {}
    for scope, node in sources.nodes():
        if node.op == "ParseExampleV2" and len(node.input) > _RAGGED_KEYS:
            parsed = _parsed_features(sources, scope, node)
            features |= parsed
            for at, source in sources.of(scope, node.input[_SERIALIZED], _KEEP_STRINGS):
                if source.op == "Placeholder" and not at:
                    examples[source.name] = examples.get(source.name, {}) | parsed
    return InputHints(id_ranges(sources), tuple(dict.fromkeys(words))[:_MAX_WORDS], features, examples)


def _asset_words(graph: Any, directory: Path) -> Iterator[bytes]:
    for asset in graph.asset_file_def:
        file = directory / "assets" / asset.filename
        try:
            with file.open("rb") as lines:
                # A line may hold further columns.
                words = [
                    line.rstrip(b"\r\n").split(b"\t")[0] for _, line in zip(range(_MAX_WORDS), lines, strict=False)
                ]
        except OSError:
            continue
        if _is_text(words):  # and no SentencePiece model
            yield from words


def _is_text(words: list[bytes]) -> bool:
    try:
        return "\0" not in b" ".join(words).decode()
    except UnicodeDecodeError:
        return False


def _parsed_features(sources: TensorSources, scope: str, node: Any) -> dict[str, ExampleFeature]:
    """Return the features that one `ParseExampleV2` parses."""
    sparse, dense, ragged = (
        _strings(sources, scope, node.input[number]) for number in (_SPARSE_KEYS, _DENSE_KEYS, _RAGGED_KEYS)
    )
    found = {
        key: ExampleFeature(dtype, None)
        for keys, attribute in ((sparse, "sparse_types"), (ragged, "ragged_value_types"))
        for key, dtype in zip(keys, node.attr[attribute].list.type, strict=False)
    }
    shapes = [shape.dim for shape in node.attr["dense_shapes"].list.shape]
    for key, dtype, dims in zip(dense, node.attr["Tdense"].list.type, shapes, strict=False):
        found[key] = ExampleFeature(dtype, math.prod(max(dim.size, 1) for dim in dims))
    return found


def _strings(sources: TensorSources, scope: str, tensor: str) -> list[str]:
    for _, node in sources.of(scope, tensor, {"Identity": FIRST_INPUT}):
        if node.op == "Const":
            try:
                return [key.decode() for key in array_from_proto(node.attr["value"].tensor).ravel()]
            except (TfsError, UnicodeDecodeError):
                return []
    return []
