"""What the ops of a graph say without running it: which are dangerous, which are tied to a device."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tfs.savedmodel.restoring import saver_parts

__all__ = ["DeniedOp", "Placement", "all_nodes", "denied_ops", "placement_of", "served_nodes"]

# An op that a model from someone else should not have, and why. The first three are those that `saved_model_cli scan`
# reports.
_DENIED = {
    **dict.fromkeys(
        (
            *("ReadFile", "WriteFile", "MatchingFiles", "FixedLengthRecordReader", "FixedLengthRecordReaderV2"),
            *("TextLineReader", "TextLineReaderV2", "TFRecordReader", "TFRecordReaderV2", "WholeFileReader"),
            *("WholeFileReaderV2", "TextLineDataset", "TFRecordDataset", "TFRecordDatasetV2"),
            *("FixedLengthRecordDataset", "FixedLengthRecordDatasetV2", "LMDBDataset", "SaveDataset", "LoadDataset"),
            *("SnapshotDataset", "SnapshotDatasetV2", "Save", "SaveV2", "SaveSlices", "Restore", "RestoreV2"),
            *("RestoreSlice", "MergeV2Checkpoints", "LoadAndRemapMatrix", "GenerateVocabRemapping"),
        ),
        "file access",
    ),
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc"), "calls Python, which a server has not"),
    **dict.fromkeys(("Print", "PrintV2"), "writes to the server's log"),
    **dict.fromkeys(
        ("DataServiceDataset", "DataServiceDatasetV2", "DataServiceDatasetV3", "DataServiceDatasetV4"), "network access"
    ),
    **dict.fromkeys(("DebugIdentity", "DebugIdentityV2", "DebugIdentityV3"), "sends tensors to a debugger's address"),
}

_GPU_ONLY = ("Cudnn", "Nccl")
_TPU_ONLY = ("TPU",)
# No kernel for a GPU: text, images from their file formats, tables.
_CPU_ONLY_PREFIXES = (
    *("String", "Regex", "Decode", "Encode", "Lookup", "HashTable", "MutableHashTable", "ParseExample"),
    *("Unicode", "Sentencepiece", "TFText>", "SparseFillEmptyRows", "StaticRegex", "Substr", "AsString"),
)
_CHANNELS_FIRST = ("Conv", "DepthwiseConv", "MaxPool", "AvgPool", "FusedBatchNorm", "BiasAdd", "_FusedConv")


@dataclass(frozen=True)
class DeniedOp:
    """A node whose op should not be in a model that is served.

    Attributes:
        op: its name, as `ReadFile`.
        node: the node's name.
        function: the function of the library in whose body it stands; empty for the graph itself.
        reason: what the op can do.
    """

    op: str
    node: str
    function: str
    reason: str


@dataclass(frozen=True)
class Placement:
    """Where the ops can run.

    Attributes:
        pinned: how many nodes name each device, as `/device:GPU:0`; nodes that name none are placed by TensorFlow.
        cpu_only: how often each op without a GPU kernel occurs.
        hints: sentences on what this means for a server with or without a GPU.
    """

    pinned: dict[str, int]
    cpu_only: dict[str, int]
    hints: tuple[str, ...]


def all_nodes(graph_def: Any) -> Iterator[tuple[str, Any]]:
    """Yield each node with the name of the function in whose body it stands; empty for the graph itself."""
    for node in graph_def.node:
        yield "", node
    for function in graph_def.library.function:
        for node in function.node_def:
            yield function.signature.name, node


def served_nodes(graph: Any) -> list[tuple[str, Any]]:
    """Return the nodes of a MetaGraphDef as `all_nodes` does, without those that only save and restore variables."""
    saver_nodes, saver_functions = saver_parts(graph)
    return [
        (function, node)
        for function, node in all_nodes(graph.graph_def)
        if (function not in saver_functions if function else node.name not in saver_nodes)
    ]


def denied_ops(served: Iterable[tuple[str, Any]]) -> list[DeniedOp]:
    """Return which of these nodes, with their functions, hold a denied op."""
    return [DeniedOp(node.op, node.name, function, _DENIED[node.op]) for function, node in served if node.op in _DENIED]


def placement_of(served: Iterable[tuple[str, Any]]) -> Placement:
    """Return which devices these nodes ask for and need."""
    nodes = [node for _, node in served]
    ops = Counter(node.op for node in nodes)
    pinned = Counter(node.device for node in nodes if node.device)
    cpu_only = {op: count for op, count in sorted(ops.items()) if op.startswith(_CPU_ONLY_PREFIXES)}
    return Placement(dict(sorted(pinned.items())), cpu_only, tuple(_hints(nodes, ops, pinned, cpu_only)))


def _hints(nodes: list[Any], ops: Iterable[str], pinned: Iterable[str], cpu_only: dict[str, int]) -> Iterator[str]:
    gpu = sorted(op for op in ops if op.startswith(_GPU_ONLY))
    tpu = sorted(op for op in ops if op.startswith(_TPU_ONLY))
    if gpu:
        yield f"needs a GPU: {', '.join(gpu)} have no kernel for a CPU"
    if tpu:
        yield f"needs a TPU: {', '.join(tpu)}"
    channels_first = (
        node.name
        for node in nodes
        if node.op.startswith(_CHANNELS_FIRST) and "data_format" in node.attr and node.attr["data_format"].s == b"NCHW"
    )
    if first := next(channels_first, None):
        yield f"`{first}` has its channels first (NCHW), which most CPU kernels refuse: needs a GPU"
    if any("GPU" in device for device in pinned):
        yield "some nodes ask for a GPU; without one TensorFlow runs them on the CPU (soft placement)"
    if cpu_only:
        yield f"on a GPU, tensors travel back to the CPU for: {', '.join(cpu_only)}"
