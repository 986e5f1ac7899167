"""What there is to say about a version directory: `tfs inspect` as data."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.savedmodel.custom_ops import TEXT_LIBRARY, custom_ops
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import Signature, meta_graph, read_saved_model, saved_model_file, signatures_of
from tfs.savedmodel.restoring import unrestored_variables
from tfs.savedmodel.tensorflow_paths import text_op_libraries
from tfs.savedmodel.warmup import WarmupSummary, summarize

__all__ = ["Description", "describe"]


@dataclass(frozen=True)
class Description:
    """A version directory.

    Attributes:
        path: the directory.
        tags: of the graph that is described, sorted.
        tensorflow_version: that wrote it; empty if the file does not say.
        signatures: by name.
        ops: how often each op occurs in the graph and the bodies of its functions, most frequent first.
        nodes: number of nodes of the graph itself.
        functions: number of functions in its library.
        function_nodes: number of nodes in their bodies.
        graph_size: bytes of `saved_model.pb` or `.pbtxt`.
        variables_size: bytes below `variables/`.
        assets: bytes of each file below `assets/`, by its path there.
        custom_ops: ops that need a library beside TensorFlow, by library.
        warmup: what the warm-up file holds; None if there is none or it is damaged.
        problems: one sentence for each thing that will keep a server from serving it.
    """

    path: Path
    tags: tuple[str, ...]
    tensorflow_version: str
    signatures: dict[str, Signature]
    ops: dict[str, int]
    nodes: int
    functions: int
    function_nodes: int
    graph_size: int
    variables_size: int
    assets: dict[str, int]
    custom_ops: dict[str, list[str]]
    warmup: WarmupSummary | None
    problems: tuple[str, ...]


def describe(directory: Path) -> Description:
    """Read a version directory and describe its `serve` graph (or the only one it has).

    Raises:
        TfsError: `directory` is no readable SavedModel; for a base path the message lists the versions.
    """
    graph = meta_graph(read_saved_model(directory), directory)
    bodies = graph.graph_def.library.function
    ops = Counter(node.op for node in graph.graph_def.node)
    ops.update(node.op for function in bodies for node in function.node_def)
    foreign = custom_ops(ops)
    warmup, warmup_problem = _warmup(directory)
    problems = [*_variable_problems(graph), *_library_problems(foreign), *warmup_problem]
    return Description(
        path=directory,
        tags=tuple(sorted(graph.meta_info_def.tags)),
        tensorflow_version=graph.meta_info_def.tensorflow_version,
        signatures=signatures_of(graph),
        ops=dict(sorted(ops.items(), key=lambda item: (-item[1], item[0]))),
        nodes=len(graph.graph_def.node),
        functions=len(bodies),
        function_nodes=sum(len(function.node_def) for function in bodies),
        graph_size=saved_model_file(directory).stat().st_size,
        variables_size=sum(_files(directory / "variables").values()),
        assets=_files(directory / "assets"),
        custom_ops=foreign,
        warmup=warmup,
        problems=tuple(problems),
    )


def _files(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}


def _warmup(directory: Path) -> tuple[WarmupSummary | None, list[str]]:
    try:
        return summarize(directory), []
    except TfsError as error:
        return None, [f"a server will refuse the warm-up file: {error}"]


def _variable_problems(graph: Any) -> list[str]:
    lost = unrestored_variables(graph)
    if not lost:
        return []
    return [
        f"a server does not restore {len(lost)} variables that the signatures read, the first is `{lost[0]}`: this is "
        "how tf.saved_model.save writes a Keras 3 model (each variable under a second name); export the model with "
        "`tfs export` or keras.export.ExportArchive instead"
    ]


def _library_problems(foreign: dict[str, list[str]]) -> list[str]:
    if TEXT_LIBRARY in foreign and not text_op_libraries():
        return [f"it needs {TEXT_LIBRARY}, which is not installed here: pip install {TEXT_LIBRARY}"]
    return []
