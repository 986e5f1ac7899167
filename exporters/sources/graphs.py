"""TF 1 graphs with named inputs and outputs: a frozen `.pb`, a `.meta` file with its checkpoint, or a session."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from tfs.exporters.options import ExportOptions
from tfs.exporters.signature_spec import SignatureSpec
from tfs.exporters.sources.checkpoints import checkpoint_prefix, restore_variables
from tfs.exporters.sources.saved_models import open_saved_model
from tfs.exporters.sources.trained import SourceKind, Trained
from tfs.exporters.suggestions import suggestion
from tfs.exporters.tensorflow_runtime import first_line, import_tensorflow
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import graph_pb2
from tfs.savedmodel.reading import SERVE_TAG

__all__ = ["Graphs"]

_FROZEN, _META = ".pb", ".meta"
_HOW = "--signature NAME='images:0 -> scores:0', or inputs and outputs in a recipe"


class Graphs(SourceKind):
    """Files of TF 1 that hold a graph, and sessions."""

    def claims(self, options: ExportOptions) -> bool:  # noqa: D102 - see SourceKind
        return Path(options.source).suffix in (_FROZEN, _META)

    def open(self, options: ExportOptions) -> Trained:  # noqa: D102
        path = Path(options.source)
        if not path.is_file():
            raise TfsError(f"`{path}` does not exist or is no file")
        if path.name == "saved_model.pb":
            raise TfsError(f"`{path}` is a file of a SavedModel", f"name its folder: {path.parent}")
        import_tensorflow()
        checkpoint = options.weights or str(path.with_suffix("")) if path.suffix == _META else None
        return _Graph(options.source, partial(_session, path, checkpoint))

    def takes(self, found: object) -> bool:  # noqa: D102
        import tensorflow as tf

        return isinstance(found, tf.compat.v1.Session | tf.compat.v1.InteractiveSession)

    def wrap(self, found: Any, options: ExportOptions) -> Trained:  # noqa: D102
        return _Graph(options.source, partial(_in_graph_of, found))


@dataclass(frozen=True)
class _Graph(Trained):
    """A graph in a session.

    Attributes:
        name: of the source.
        session: opens a session whose graph is the default one, with values for its variables.
    """

    name: str
    session: Callable[[], AbstractContextManager[Any]]

    def write(self, directory: Path, options: ExportOptions) -> None:
        if not options.signatures:
            raise TfsError(f"`{self.name}` does not say what its inputs and outputs are", _HOW)
        named = {name: spec for name, spec in options.signatures.items() if _only_names_tensors(spec)}
        derived = {name: spec for name, spec in options.signatures.items() if name not in named}
        if not derived:
            self._write_graph(directory, named)
            return
        # What they declare beyond names is traced around functions, which a SavedModel has and a graph has not.
        with tempfile.TemporaryDirectory(prefix="tfs-export-") as folder:
            between = Path(folder) / "graph"
            self._write_graph(between, named)
            model = open_saved_model(between, [SERVE_TAG])
            model.write(directory, options.model_copy(update={"signatures": derived}))

    def _write_graph(self, directory: Path, signatures: dict[str, SignatureSpec]) -> None:
        import tensorflow as tf

        with self.session() as session:
            definitions = {name: _signature(session.graph, name, spec) for name, spec in signatures.items()}
            v1 = tf.compat.v1
            directory.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=directory) as folder:  # the builder insists on making its directory
                builder = v1.saved_model.Builder(f"{folder}/model")
                builder.add_meta_graph_and_variables(
                    session,
                    [SERVE_TAG],
                    signature_def_map=definitions,
                    assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
                    main_op=v1.tables_initializer(),
                )
                builder.save()
                for entry in Path(folder, "model").iterdir():
                    entry.rename(directory / entry.name)


@contextmanager
def _in_graph_of(session: Any) -> Iterator[Any]:
    with session.graph.as_default():
        yield session


@contextmanager
def _session(path: Path, checkpoint: str | None) -> Iterator[Any]:
    """Open a session with a graph from a file; with the values of a checkpoint if it is a meta graph."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        try:
            if checkpoint is None:
                tf.import_graph_def(graph_pb2.GraphDef.FromString(path.read_bytes()), name="")
            else:
                _restore(session, path, checkpoint)
        except (DecodeError, OSError, ValueError, KeyError, tf.errors.OpError) as error:
            raise TfsError(f"`{path}` cannot be loaded: {first_line(error)}") from error
        yield session


def _restore(session: Any, path: Path, checkpoint: str) -> None:
    import tensorflow as tf

    saver = tf.compat.v1.train.import_meta_graph(str(path), clear_devices=True)
    if saver is None:
        return  # the graph has no variables
    restore_variables(session, saver, checkpoint_prefix(checkpoint), f"--weights names the checkpoint of `{path}`")


def _only_names_tensors(spec: SignatureSpec) -> bool:
    parts = [*(spec.inputs or {}).values(), *(spec.outputs or {}).values()]
    return spec.model_fields_set <= {"inputs", "outputs", "method"} and all(
        part.model_fields_set <= {"of"} for part in parts
    )


def _signature(graph: Any, name: str, spec: SignatureSpec) -> Any:
    import tensorflow as tf

    if not spec.inputs or not spec.outputs:
        raise TfsError(f"signature `{name}` does not say which tensors its inputs and outputs are", _HOW)
    infos = [
        {
            alias: tf.compat.v1.saved_model.build_tensor_info(_tensor(graph, name, one.of or alias))
            for alias, one in declared.items()
        }
        for declared in (spec.inputs, spec.outputs)
    ]
    return tf.compat.v1.saved_model.build_signature_def(*infos, f"tensorflow/serving/{spec.method}")


def _tensor(graph: Any, signature: str, name: str) -> Any:
    try:
        return graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
    except (KeyError, ValueError) as error:
        ops = [op.name for op in graph.get_operations() if op.outputs]
        raise TfsError(f"signature `{signature}`: the graph has no tensor `{name}`", suggestion(name, ops)) from error
