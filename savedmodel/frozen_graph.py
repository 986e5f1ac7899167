"""A GraphDef in a file of its own (`frozen.pb`), as TF 1 tools write it: a graph without variables and signatures."""

from pathlib import Path
from typing import Any

from tfs.savedmodel.dtypes import dtype_name
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.proto_files import read_proto
from tfs.savedmodel.protos import graph_pb2
from tfs.savedmodel.reading import Signature, TensorInfo

__all__ = ["GUESSED_SIGNATURE", "guessed_signature", "read_graph_def"]

GUESSED_SIGNATURE = "(guessed)"

# What may be at the end of a graph without being an output.
_NO_OUTPUT = {"Const", "NoOp", "Assert", "Placeholder", "PlaceholderWithDefault"}


def read_graph_def(file: Path) -> Any:
    """Return the GraphDef in a `.pb` (binary) or `.pbtxt` (text) file.

    Raises:
        TfsError: the file cannot be read, is damaged, or holds something else.
    """
    graph_def = read_proto(file, graph_pb2.GraphDef)
    if not graph_def.node or not all(node.name and node.op for node in graph_def.node):
        raise TfsError(f"`{file}` is no GraphDef: it has no nodes")
    return graph_def


def guessed_signature(graph_def: Any) -> Signature:
    """Return the placeholders of a graph as inputs, and as outputs the nodes that no other node reads."""
    read = {name.removeprefix("^").split(":")[0] for node in graph_def.node for name in node.input}
    inputs = {
        node.name: TensorInfo(_dtype(node, "dtype"), _shape(node), f"{node.name}:0")
        for node in graph_def.node
        if node.op.startswith("Placeholder")
    }
    outputs = {
        node.name: TensorInfo(_dtype(node, "T"), None, f"{node.name}:0")
        for node in graph_def.node
        if node.name not in read and node.op not in _NO_OUTPUT
    }
    return Signature(GUESSED_SIGNATURE, dict(sorted(inputs.items())), dict(sorted(outputs.items())), "")


def _dtype(node: Any, attribute: str) -> str:
    return dtype_name(node.attr[attribute].type) if attribute in node.attr else "unknown"


def _shape(node: Any) -> tuple[int | None, ...] | None:
    shape = node.attr["shape"].shape if "shape" in node.attr else None
    if shape is None or shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
