"""SavedModels that exist already: other signatures, and values for the variables that servers could not restore."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tfs.exporters.options import ExportOptions
from tfs.exporters.processing.optional import import_tensorflow_text
from tfs.exporters.signatures import ModelWithFunctions
from tfs.exporters.sources.trained import ServingFunction, SourceKind, Trained
from tfs.exporters.suggestions import suggestion
from tfs.exporters.tensorflow_runtime import first_line, import_tensorflow
from tfs.savedmodel.custom_ops import TEXT_LIBRARY, custom_ops
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import saved_model_pb2
from tfs.savedmodel.reading import SERVE_TAG, meta_graph, read_saved_model, signatures_of

__all__ = ["SavedModels", "open_saved_model"]

# The graph is written anew; warm-up records may be for signatures that go.
_NOT_COPIED = ("saved_model.pb", "saved_model.pbtxt", "fingerprint.pb", "assets.extra")
_REFERENCE_VARIABLES = {"Variable", "VariableV2"}


class SavedModels(SourceKind):
    """Version directories."""

    def claims(self, options: ExportOptions) -> bool:  # noqa: D102 - see SourceKind
        return Path(options.source).is_dir()

    def open(self, options: ExportOptions) -> Trained:  # noqa: D102
        directory = Path(options.source)
        graph = meta_graph(read_saved_model(directory), directory, options.tags)
        if not graph.object_graph_def.nodes and not options.signatures:
            return _OfTensorFlow1(directory, graph)
        return open_saved_model(directory, options.tags)


@dataclass(frozen=True)
class _OfTensorFlow1(Trained):
    """A SavedModel without objects. It is copied: its variables may be of a kind that no function can read."""

    directory: Path
    graph: Any

    def write(self, directory: Path, options: ExportOptions) -> None:
        import_tensorflow()
        names = list(signatures_of(self.graph))
        kept = names if options.keep_signatures is None else options.keep_signatures
        for name in kept:
            if name not in names:
                raise TfsError(f"the source has no signature `{name}`", suggestion(name, names))
        shutil.copytree(self.directory, directory, dirs_exist_ok=True, ignore=_left_out)
        written = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[self.graph])
        written.meta_graphs[0].meta_info_def.tags[:] = [SERVE_TAG]
        for name in set(names) - set(kept):
            del written.meta_graphs[0].signature_def[name]
        (directory / "saved_model.pb").write_bytes(written.SerializeToString(deterministic=True))


def open_saved_model(directory: Path, tags: Sequence[str]) -> ModelWithFunctions:
    """Load a SavedModel of TF 1 or TF 2 as objects, so that its signatures can be written again.

    Args:
        directory: a version directory.
        tags: the graph that is wanted, if there are several.

    Raises:
        TfsError: it cannot be read, or needs ops that are not here.
    """
    graph = meta_graph(read_saved_model(directory), directory, tags)
    import_tensorflow()
    import tensorflow as tf

    if TEXT_LIBRARY in custom_ops(_ops(graph.graph_def)):
        import_tensorflow_text()
    if not graph.object_graph_def.nodes and _REFERENCE_VARIABLES & _ops(graph.graph_def):
        raise TfsError(
            f"`{directory}` has reference variables of TF 1, which the functions of new signatures cannot read",
            "freeze it first: tfs optimize",
        )
    try:
        loaded = tf.saved_model.load(str(directory), list(graph.meta_info_def.tags))
    except (tf.errors.OpError, RuntimeError, OSError, ValueError, KeyError, AttributeError) as error:
        raise TfsError(f"`{directory}` cannot be loaded: {first_line(error)}", "tfs inspect shows its ops") from error
    # Of TF 1: the tables are in the graph, where no function captures them, and the op that fills them stands alone.
    also = (loaded.initializer, loaded.asset_paths) if hasattr(loaded, "initializer") else ()
    methods = {name: signature.method_name for name, signature in signatures_of(graph).items()}
    return ModelWithFunctions(
        loaded, {name: partial(ServingFunction, loaded.signatures[name], methods[name], also=also) for name in methods}
    )


def _left_out(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name in _NOT_COPIED]


def _ops(graph: Any) -> set[str]:
    bodies = (node for function in graph.library.function for node in function.node_def)
    return {node.op for node in (*graph.node, *bodies)}
