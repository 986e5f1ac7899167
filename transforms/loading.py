"""Opening a SavedModel for rewriting: the graph in a restored session, and what must survive.

Everything goes through the v1 loader, which takes SavedModels of TF 1 and TF 2 alike: it restores the variables and
runs the init op (tables, assets) in one session.
"""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.savedmodel.custom_ops import TEXT_LIBRARY, custom_ops
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import load
from tfs.savedmodel.reading import meta_graph as select_meta_graph
from tfs.savedmodel.reading import read_saved_model
from tfs.transforms.graph_view import GraphView, Roots, Tensor
from tfs.transforms.large_constants import LargeConstants, light_saved_model
from tfs.transforms.ops import op_definition, output_arguments
from tfs.transforms.tensorflow_runtime import open_session

__all__ = ["LoadedModel", "asset_tensors", "load_model", "signature_tensors"]

_MAIN_OPS = ("saved_model_main_op", "legacy_init_op")
_INIT_SIGNATURE = "__saved_model_init_op"
_RESERVED_SIGNATURES = frozenset({_INIT_SIGNATURE, "__saved_model_train_op"})


@dataclass(frozen=True)
class LoadedModel:
    """A SavedModel in a session.

    Attributes:
        path: its directory.
        meta_graph: the MetaGraphDef that was loaded (not to be changed), without the values of large constants.
        session: a v1 session with variables restored and tables initialised, open while the model is in use; not to
            be asked for what depends on a large constant.
        view: the whole main graph under the model's roots, without the values of large constants.
        large_constants: these values.
    """

    path: Path
    meta_graph: Any
    session: Any
    view: GraphView
    large_constants: LargeConstants

    @property
    def signatures(self) -> dict[str, Any]:
        """The SignatureDefs that a client can call, by name."""
        definitions = self.meta_graph.signature_def
        return {name: definitions[name] for name in sorted(definitions) if name not in _RESERVED_SIGNATURES}


def _info_tensors(info: Any) -> Iterator[Tensor]:
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        sparse = info.coo_sparse
        names = (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
        yield from (Tensor.parse(name) for name in names)
    elif encoding == "composite_tensor":
        for component in info.composite_tensor.components:
            yield from _info_tensors(component)
    elif info.name:
        yield Tensor.parse(info.name)


def signature_tensors(infos: Any) -> list[Tensor]:
    """Return the tensors behind a signature's inputs or outputs, sparse and composite ones taken apart."""
    return [tensor for key in sorted(infos) for tensor in _info_tensors(infos[key])]


def asset_tensors(meta_graph: Any) -> list[tuple[Tensor, str]]:
    """Return each asset's tensor and file name (below `assets/`), TF 2's list or else TF 1's collection."""
    assets = list(meta_graph.asset_file_def)
    if not assets and "saved_model_assets" in meta_graph.collection_def:
        for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:
            asset = load("meta_graph_pb2").AssetFileDef()
            packed.Unpack(asset)
            assets.append(asset)
    return [(Tensor.parse(asset.tensor_info.name), asset.filename) for asset in assets]


def _init_op(meta_graph: Any) -> str | None:
    if _INIT_SIGNATURE in meta_graph.signature_def:
        outputs = meta_graph.signature_def[_INIT_SIGNATURE].outputs
        return Tensor.parse(outputs[_INIT_SIGNATURE].name).node
    for key in _MAIN_OPS:
        if key in meta_graph.collection_def:
            return Tensor.parse(meta_graph.collection_def[key].node_list.value[0]).node
    return None


def _roots(meta_graph: Any, init_op: str | None) -> Roots:
    fed: set[Tensor] = set()
    fetched: set[Tensor] = set()
    for name, signature in meta_graph.signature_def.items():
        if name not in _RESERVED_SIGNATURES:
            fed.update(signature_tensors(signature.inputs))
            fetched.update(signature_tensors(signature.outputs))
    nodes = {tensor.node for tensor, _ in asset_tensors(meta_graph)} | ({init_op} if init_op else set())
    return Roots(frozenset(fed), frozenset(fetched), frozenset(nodes), init_op)


def _register_ops(meta_graph: Any) -> None:
    """Import tensorflow-text if the graph needs its ops; name the ops that nothing installed here provides."""
    graph = meta_graph.graph_def
    functions = {function.signature.name for function in graph.library.function}
    bodies = (node for function in graph.library.function for node in function.node_def)
    ops = {node.op for node in (*graph.node, *bodies)} - functions
    if all(op_definition(op) for op in ops):
        return
    with contextlib.suppress(ImportError):
        import tensorflow_text  # noqa: F401  (its import registers the ops)
    op_definition.cache_clear()
    unknown = sorted(op for op in ops if not op_definition(op))
    if unknown:
        library_of = {op: library for library, ops in custom_ops(unknown).items() for op in ops}
        named = ", ".join(f"{op} (of {library_of[op]})" if op in library_of else op for op in unknown)
        hint = (
            "pip install tfs[text]" if TEXT_LIBRARY in library_of.values() else "TensorFlow itself does not have them"
        )
        raise TfsError(f"the model uses ops that are not registered here: {named}", hint)


def _require_signature_tensors(meta_graph: Any) -> None:
    """Refuse a signature that names a tensor which the graph does not have: TensorFlow says so only at a call."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    for name, signature in meta_graph.signature_def.items():
        for kind, infos in (("input", signature.inputs), ("output", signature.outputs)):
            for alias in infos if name not in _RESERVED_SIGNATURES else ():
                for tensor in _info_tensors(infos[alias]):
                    if not _has(nodes.get(tensor.node), tensor.port):
                        raise TfsError(
                            f"{kind} `{alias}` of signature `{name}` is `{tensor.node}:{tensor.port}`, which the graph "
                            "does not have",
                            "export the model again",
                        )


def _has(node: Any, port: int) -> bool:
    outputs = None if node is None else output_arguments(node)
    return node is not None and (outputs is None or port < sum(count for _, count in outputs))


@contextmanager
def load_model(path: Path) -> Iterator[LoadedModel]:
    """Load the SavedModel in directory `path` for as long as the block runs.

    Raises:
        TfsError: the model cannot be read or loaded.
    """
    large_constants = LargeConstants()
    meta_graph = large_constants.take(select_meta_graph(read_saved_model(path), path))
    _register_ops(meta_graph)
    if not meta_graph.signature_def.keys() - _RESERVED_SIGNATURES:
        raise TfsError(f"`{path}` has no signature", "export the model with a signature")
    tags = meta_graph.meta_info_def.tags
    _require_signature_tensors(meta_graph)
    with light_saved_model(path, meta_graph) as directory, open_session(path, tags, directory) as session:
        view = GraphView.of(session.graph.as_graph_def(), _roots(meta_graph, _init_op(meta_graph)))
        yield LoadedModel(path, meta_graph, session, view, large_constants)
