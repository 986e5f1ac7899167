"""Writing an optimized graph as a SavedModel, in the v1 form that every loader takes (no object graph)."""

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import load
from tfs.savedmodel.streaming import saved_model_chunks, saved_model_size
from tfs.transforms.graph_edit import constant_node
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor
from tfs.transforms.loading import asset_tensors
from tfs.transforms.ops import op_definition
from tfs.transforms.state import write_checkpoint

if TYPE_CHECKING:
    from tfs.transforms.loading import LoadedModel
    from tfs.transforms.preparing import PreparedGraph

__all__ = ["write_saved_model"]

_COPIED = ("assets", "assets.extra")
_MAX_PROTO_BYTES = 2**31 - 1


def write_saved_model(
    model: "LoadedModel", prepared: "PreparedGraph", view: GraphView, renamed: Mapping[str, str], directory: Path
) -> None:
    """Write `view`, what the passes made of `prepared`, with the model's signatures, tags and assets, and sync it.

    `renamed` has the old and new names of roots that a pass renamed. `directory` exists and is empty.

    Raises:
        TfsError: the graph is beyond what one proto can hold, or the file system refuses.
    """
    meta_graph = load("meta_graph_pb2").MetaGraphDef()
    _fill(meta_graph, model, prepared, view, renamed)
    nodes = _nodes(view, {tensor.node: filename for tensor, filename in asset_tensors(meta_graph)})
    size = saved_model_size(meta_graph, nodes)
    if size > _MAX_PROTO_BYTES:
        raise TfsError(f"the frozen graph has {size:,} bytes; a saved_model.pb holds 2 GB at most")
    try:
        with (directory / "saved_model.pb").open("wb") as written:
            written.writelines(saved_model_chunks(meta_graph, nodes))
        (directory / "variables").mkdir()
        if prepared.state is not None:
            write_checkpoint(prepared.state, directory / "variables")
        for name in _COPIED:
            if (model.path / name).is_dir():
                shutil.copytree(model.path / name, directory / name)
        for file in directory.rglob("*"):
            _sync(file)
        _sync(directory)
    except OSError as error:
        raise TfsError(f"`{directory}` cannot be written: {error.strerror}") from error


def _fill(
    meta_graph: Any, model: "LoadedModel", prepared: "PreparedGraph", view: GraphView, renamed: Mapping[str, str]
) -> None:
    """Fill an empty MetaGraphDef with everything but the nodes."""
    original = model.meta_graph
    meta_graph.graph_def.library.CopyFrom(view.library)
    meta_graph.graph_def.versions.CopyFrom(view.versions)
    info = meta_graph.meta_info_def
    info.CopyFrom(original.meta_info_def)
    info.ClearField("function_aliases")
    info.ClearField("any_info")
    info.ClearField("stripped_op_list")
    info.stripped_op_list.op.extend(_used_ops(view))
    # Not the init op's own signature: `tf.saved_model.load` would try to lift it as a function. The collection does.
    for name, signature in model.signatures.items():
        meta_graph.signature_def[name].CopyFrom(signature)
        for infos in (meta_graph.signature_def[name].inputs, meta_graph.signature_def[name].outputs):
            for info in infos.values():
                _rename(info, renamed)
    for old, filename in asset_tensors(original):
        tensor = _renamed(old, renamed)
        asset = meta_graph.asset_file_def.add(filename=filename)
        asset.tensor_info.name = f"{tensor.node}:{tensor.port}"
    collections = meta_graph.collection_def
    if view.roots.init_op is not None:
        collections["saved_model_main_op"].node_list.value.append(view.roots.init_op)
    if prepared.state is not None:
        meta_graph.saver_def.CopyFrom(prepared.state.saver)
        collections["variables"].bytes_list.value.extend(prepared.state.variables)


def _renamed(tensor: Tensor, names: Mapping[str, str]) -> Tensor:
    return Tensor(names.get(tensor.node, tensor.node), tensor.port)


def _rename(info: Any, names: Mapping[str, str]) -> None:
    """Give the tensors of a TensorInfo, components included, the names that they have now."""

    def renamed(text: str) -> str:
        tensor = _renamed(Tensor.parse(text), names)
        return f"{tensor.node}:{tensor.port}"

    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        for key in ("values_tensor_name", "indices_tensor_name", "dense_shape_tensor_name"):
            setattr(info.coo_sparse, key, renamed(getattr(info.coo_sparse, key)))
    elif encoding == "composite_tensor":
        for component in info.composite_tensor.components:
            _rename(component, names)
    elif info.name:
        info.name = renamed(info.name)


def _nodes(view: GraphView, assets: Mapping[str, str]) -> list[NodeDef]:
    """Return the nodes; an asset's Placeholder becomes the file name, which loaders override."""
    import numpy as np

    return [
        constant_node(node.name, np.array(assets[node.name].encode(), object), node.device)
        if node.name in assets and node.op == "Placeholder"
        else node
        for node in view
    ]


def _used_ops(view: GraphView) -> list[Any]:
    """Return the OpDefs of all ops in graph and function bodies, as loaders of other versions compare them."""
    bodies = (node.op for function in view.library.function for node in function.node_def)
    found = []
    for op in sorted({*(node.op for node in view), *bodies}):
        definition = op_definition(op)
        if definition is not None:
            stripped = type(definition)()
            stripped.CopyFrom(definition)
            for part in (stripped, *stripped.input_arg, *stripped.output_arg, *stripped.attr):
                part.ClearField("description")
            stripped.ClearField("summary")
            found.append(stripped)
    return found


def _sync(path: Path) -> None:
    with contextlib.suppress(PermissionError):  # a directory that may not be opened is not ours to sync
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
