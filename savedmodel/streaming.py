"""A SavedModel proto piece by piece: as one message it would stand in memory twice besides the graph itself."""

from collections.abc import Iterator, Sequence
from typing import Any

from tfs.savedmodel.protos import load

__all__ = ["field_size", "saved_model_chunks", "saved_model_size"]

# Numbers of the fields, each a message: SavedModel.meta_graphs, MetaGraphDef.graph_def, GraphDef.node.
_META_GRAPHS = 2
_GRAPH_DEF = 2
_NODE = 1
_MESSAGE = 2  # the wire type


def field_size(size: int) -> int:
    """Return the bytes that a message of `size` bytes takes as a field whose number is below 16."""
    return len(_header(_NODE, size)) + size


def saved_model_size(meta_graph: Any, nodes: Sequence[Any]) -> int:
    """Return how many bytes `saved_model_chunks` yields."""
    rest, graph_rest, graph_size = _parts(meta_graph, nodes)
    return len(_head()) + field_size(len(rest) + field_size(len(graph_rest) + graph_size))


def saved_model_chunks(meta_graph: Any, nodes: Sequence[Any]) -> Iterator[bytes]:
    """Yield the serialized SavedModel of one MetaGraphDef: `meta_graph`, whose graph has no nodes, with `nodes`."""
    rest, graph_rest, nodes_size = _parts(meta_graph, nodes)
    graph_size = len(graph_rest) + nodes_size
    yield _head() + _header(_META_GRAPHS, len(rest) + field_size(graph_size))
    yield rest + _header(_GRAPH_DEF, graph_size) + graph_rest
    for node in nodes:
        yield _header(_NODE, node.ByteSize())
        yield node.SerializeToString(deterministic=True)


def _parts(meta_graph: Any, nodes: Sequence[Any]) -> tuple[bytes, bytes, int]:
    """Return the MetaGraphDef without its graph, the graph without nodes, and the size of the nodes as fields."""
    rest = type(meta_graph)()
    rest.CopyFrom(meta_graph)
    rest.ClearField("graph_def")
    graph = meta_graph.graph_def.SerializeToString(deterministic=True)
    return rest.SerializeToString(deterministic=True), graph, sum(field_size(node.ByteSize()) for node in nodes)


def _head() -> bytes:
    return bytes(load("saved_model_pb2").SavedModel(saved_model_schema_version=1).SerializeToString())


def _header(number: int, size: int) -> bytes:
    """Return what stands before a field of `size` bytes: number and wire type, then the size in groups of 7 bits."""
    groups = [number << 3 | _MESSAGE]
    while size > 0x7F:
        groups.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*groups, size])
