"""What there is to say about a version directory or a frozen graph: `tfs inspect` as data."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.savedmodel.checkpoint import read_index
from tfs.savedmodel.custom_ops import TEXT_LIBRARY, custom_ops
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.frozen_graph import GUESSED_SIGNATURE, guessed_signature, read_graph_def
from tfs.savedmodel.objects import ConcreteFunction, functions_of, variables_of
from tfs.savedmodel.op_findings import DeniedOp, Placement, all_nodes, denied_ops, placement_of, served_nodes
from tfs.savedmodel.protos import meta_graph_pb2
from tfs.savedmodel.provenance import Provenance, provenance_of
from tfs.savedmodel.reading import (
    SERVE_TAG,
    Signature,
    meta_graph,
    read_saved_model,
    saved_model_file,
    signatures_of,
)
from tfs.savedmodel.restoring import needs_checkpoint, unrestored_variables
from tfs.savedmodel.tables import Table, tables_of
from tfs.savedmodel.tensorflow_paths import text_op_libraries
from tfs.savedmodel.tflite_file import TFLITE_FILE, is_tflite_only, read_tflite
from tfs.savedmodel.warmup_summary import WarmupSummary, summarize

__all__ = ["Description", "Variable", "describe", "graph_of", "tflite_file_of"]


@dataclass(frozen=True)
class Variable:
    """A variable of a checkpoint.

    Attributes:
        name: in the graph, as `dense/kernel`.
        key: in the checkpoint, as `layers/0/_kernel/.ATTRIBUTES/VARIABLE_VALUE`; the name itself in TF 1.
        dtype: TensorFlow's name.
        shape: its sizes.
        size: bytes of its values.
        trainable: whether training changes it; null if the file does not say (TF 1).
    """

    name: str
    key: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    trainable: bool | None


@dataclass(frozen=True)
class Description:
    """A version directory, or a frozen graph.

    Attributes:
        path: the directory or file, as it was given.
        kind: `saved_model`, `frozen_graph` or `tflite_model`.
        tags: of the graph that is described, sorted.
        tag_sets: of all graphs in the file.
        tensorflow_version: that wrote it; empty if the file does not say.
        provenance: what wrote it, and its fingerprint.
        signatures: by name; of a frozen graph one that is guessed from its ends.
        concrete_functions: the traced functions of the saved object, those of the root first.
        variables: in the order of the checkpoint's keys.
        tables: lookup tables.
        ops: how often each op occurs in the graph and the bodies of its functions, most frequent first.
        nodes: number of nodes of the graph itself.
        functions: number of functions in its library.
        function_nodes: number of nodes in their bodies.
        graph_size: bytes of `saved_model.pb` or `.pbtxt`, or of the frozen graph.
        variables_size: bytes below `variables/`.
        assets: bytes of each file below `assets/`, by its path there.
        custom_ops: ops that need a library beside TensorFlow, by library.
        denied_ops: nodes that a model from someone else should not have.
        placement: where the ops can run.
        warmup: what the warm-up file holds; null if there is none or it is damaged.
        problems: one sentence for each thing that will keep a server from serving it.
    """

    path: str
    kind: str
    tags: tuple[str, ...]
    tag_sets: tuple[tuple[str, ...], ...]
    tensorflow_version: str
    provenance: Provenance
    signatures: dict[str, Signature]
    concrete_functions: tuple[ConcreteFunction, ...]
    variables: tuple[Variable, ...]
    tables: tuple[Table, ...]
    ops: dict[str, int]
    nodes: int
    functions: int
    function_nodes: int
    graph_size: int
    variables_size: int
    assets: dict[str, int]
    custom_ops: dict[str, list[str]]
    denied_ops: tuple[DeniedOp, ...]
    placement: Placement
    warmup: WarmupSummary | None
    problems: tuple[str, ...]


def describe(path: Path, *, tags: Iterable[str] = (SERVE_TAG,), shown_as: str = "") -> Description:
    """Read a version directory, or the file of a frozen graph, and describe it.

    Args:
        path: a directory with a `saved_model.pb` or `.pbtxt`, or only a `model.tflite`; that file; or a GraphDef.
        tags: of the graph; when there is only one it is taken, whatever its tags are.
        shown_as: what the description calls it, if not `path`.

    Raises:
        TfsError: `path` is neither, or damaged; for a base path the message lists the versions.
    """
    directory = _directory(path)
    if (tflite := tflite_file_of(path)) is not None:
        return _describe_tflite(tflite, directory, shown_as or str(path))
    graph, tag_sets = graph_of(path, tags)
    file = path if directory is None else saved_model_file(directory)
    graph_def = graph.graph_def
    ops = Counter(node.op for _, node in all_nodes(graph_def))
    counts = dict(sorted(ops.items(), key=lambda item: (-item[1], item[0])))
    foreign = custom_ops(ops)
    served = served_nodes(graph)
    warmup, warmup_problem = (None, []) if directory is None else _warmup(directory)
    variables, variables_problem = ((), []) if directory is None else _variables(graph, directory)
    signatures = signatures_of(graph) if directory else {GUESSED_SIGNATURE: guessed_signature(graph_def)}
    assets = {} if directory is None else _files(directory / "assets")
    return Description(
        path=shown_as or str(path),
        kind="frozen_graph" if directory is None else "saved_model",
        tags=tuple(sorted(graph.meta_info_def.tags)),
        tag_sets=tag_sets,
        tensorflow_version=graph.meta_info_def.tensorflow_version,
        provenance=provenance_of(graph, directory),
        signatures=signatures,
        concrete_functions=tuple(functions_of(graph.object_graph_def)),
        variables=variables,
        tables=tuple(tables_of(graph_def)),
        ops=counts,
        nodes=len(graph_def.node),
        functions=len(graph_def.library.function),
        function_nodes=sum(len(function.node_def) for function in graph_def.library.function),
        graph_size=file.stat().st_size,
        variables_size=0 if directory is None else sum(_files(directory / "variables").values()),
        assets=assets,
        custom_ops=foreign,
        denied_ops=tuple(denied_ops(served)),
        placement=placement_of(served),
        warmup=warmup,
        problems=(
            *_variable_problems(graph),
            *variables_problem,
            *_asset_problems(graph, assets),
            *_library_problems(foreign),
            *warmup_problem,
        ),
    )


def tflite_file_of(path: Path) -> Path | None:
    """Return the TFLite file that a path means, which is or has one and no SavedModel; None for other paths."""
    if path.suffix == ".tflite" and path.is_file():
        return path
    return path / TFLITE_FILE if is_tflite_only(path) else None


def _describe_tflite(file: Path, directory: Path | None, shown_as: str) -> Description:
    model = read_tflite(file)
    warmup, warmup_problem = (None, []) if directory is None else _warmup(directory)
    return Description(
        path=shown_as,
        kind="tflite_model",
        tags=(),
        tag_sets=(),
        tensorflow_version="",
        provenance=provenance_of(meta_graph_pb2.MetaGraphDef(), directory),
        signatures=model.signatures,
        concrete_functions=(),
        variables=(),
        tables=(),
        ops=model.ops,
        nodes=model.nodes,
        functions=model.functions,
        function_nodes=model.function_nodes,
        graph_size=file.stat().st_size,
        variables_size=0,
        assets={},
        custom_ops={"another library": list(model.custom_ops)} if model.custom_ops else {},
        denied_ops=(),
        placement=Placement({}, {}, ()),
        warmup=warmup,
        problems=(
            *(f"LiteRT has no operation `{op}`: a server will refuse the model" for op in model.custom_ops),
            *warmup_problem,
        ),
    )


def graph_of(path: Path, tags: Iterable[str] = (SERVE_TAG,)) -> tuple[Any, tuple[tuple[str, ...], ...]]:
    """Return the MetaGraphDef of a version directory (or around a frozen graph), and the tag sets there are.

    Raises:
        TfsError: as `describe`.
    """
    directory = _directory(path)
    if directory is None:
        graph = meta_graph_pb2.MetaGraphDef()
        graph.graph_def.CopyFrom(read_graph_def(path))
        return graph, ()
    saved_model = read_saved_model(directory)
    tag_sets = tuple(tuple(sorted(graph.meta_info_def.tags)) for graph in saved_model.meta_graphs)
    return meta_graph(saved_model, directory, tags), tag_sets


def _directory(path: Path) -> Path | None:
    """Return the version directory that a path names; None for the file of a frozen graph."""
    if path.name in ("saved_model.pb", "saved_model.pbtxt", TFLITE_FILE) and path.is_file():
        return path.parent
    return None if path.is_file() else path


def _files(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}


def _warmup(directory: Path) -> tuple[WarmupSummary | None, list[str]]:
    try:
        return summarize(directory), []
    except TfsError as error:
        return None, [f"a server will refuse the warm-up file: {error}"]


def _variables(graph: Any, directory: Path) -> tuple[tuple[Variable, ...], list[str]]:
    index = directory / "variables" / "variables.index"
    if not index.is_file():
        return (), [f"`{index}` is missing, and the graph has variables"] if needs_checkpoint(graph) else []
    objects = variables_of(graph.object_graph_def)
    try:
        entries = read_index(index)
    except TfsError as error:
        return (), [f"a server will not restore the variables: {error}"]
    found = []
    for entry in entries:
        known = objects.get(entry.key)
        if known is None and entry.key.startswith("_CHECKPOINTABLE_OBJECT_GRAPH"):
            continue
        name = known.name if known and known.name else entry.key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
        trainable = known.trainable if known else None
        found.append(Variable(name, entry.key, entry.dtype, entry.shape, entry.size, trainable))
    return tuple(found), []


def _variable_problems(graph: Any) -> list[str]:
    lost = unrestored_variables(graph)
    if not lost:
        return []
    return [
        f"a server does not restore {len(lost)} variables that the signatures read, the first is `{lost[0]}`: this is "
        "how tf.saved_model.save writes a Keras 3 model (each variable under a second name); export the model with "
        "`tfs export` or keras.export.ExportArchive instead"
    ]


def _asset_problems(graph: Any, assets: dict[str, int]) -> list[str]:
    missing = sorted({asset.filename for asset in graph.asset_file_def} - assets.keys())
    return [f"the graph reads the asset file `{name}`, which is missing below assets/" for name in missing]


def _library_problems(foreign: dict[str, list[str]]) -> list[str]:
    if TEXT_LIBRARY in foreign and not text_op_libraries():
        return [f"it needs {TEXT_LIBRARY}, which is not installed here: pip install {TEXT_LIBRARY}"]
    return []
