"""Read `saved_model.pb` or `saved_model.pbtxt` and name what is in it, without TensorFlow."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfs.savedmodel.dtypes import dtype_name
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.proto_files import read_proto
from tfs.savedmodel.protos import saved_model_pb2

__all__ = [
    "SERVE_TAG",
    "Signature",
    "TensorInfo",
    "meta_graph",
    "read_saved_model",
    "read_signatures",
    "saved_model_file",
    "signature_named",
    "signature_of",
    "signatures_of",
    "version_directories",
]

SERVE_TAG = "serve"

# Signatures that TF 2 writes for its loaders, not for callers.
_LOADER_SIGNATURES = ("__saved_model_init_op", "__saved_model_train_op")


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a signature.

    Attributes:
        dtype: TensorFlow's name, as `float32` or `string`.
        shape: sizes, None for an unknown dimension; None instead of a tuple when the rank is unknown.
        name: the graph's tensor, as `serving_default_x:0`; empty for an input or output of several tensors.
        components: the graph's tensors of a sparse (values, indices, dense shape) or composite one; else empty.
    """

    dtype: str
    shape: tuple[int | None, ...] | None
    name: str
    components: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signature:
    """What can be called: inputs and outputs by alias, in alphabetical order.

    Attributes:
        name: of the signature.
        inputs: by alias.
        outputs: by alias.
        method_name: as `tensorflow/serving/predict`.
        defaults: the value (as in JSON) that TensorFlow's own loader takes for an input left out; a server does not.
    """

    name: str
    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    method_name: str
    defaults: dict[str, Any] = field(default_factory=dict)


def version_directories(base: Path) -> dict[int, Path]:
    """Return the versions below a base path in ascending order, by the server's rule.

    A version is a directory with a decimal name (leading zeros allowed) that holds a `saved_model.pb` or `.pbtxt`. An
    unreadable or missing base path has none.
    """
    if not base.is_dir():
        return {}
    named = {int(path.name): path for path in base.iterdir() if path.name.isascii() and path.name.isdecimal()}
    return {number: named[number] for number in sorted(named) if _find_file(named[number])}


def saved_model_file(directory: Path) -> Path:
    """Return the `saved_model.pb` (preferred) or `saved_model.pbtxt` of a version directory.

    Raises:
        TfsError: nothing is there, or `directory` is a base path; the message then lists its versions.
    """
    found = _find_file(directory)
    if found:
        return found
    versions = version_directories(directory)
    if versions:
        newest = versions[max(versions)]
        names = ", ".join(str(number) for number in versions)
        raise TfsError(f"`{directory}` is a base path with the versions {names}, not a version", f"name one: {newest}")
    if not directory.exists():
        raise TfsError(f"`{directory}` does not exist", "name the directory that holds saved_model.pb")
    raise TfsError(f"`{directory}` is no SavedModel: it holds no saved_model.pb or saved_model.pbtxt")


def read_saved_model(directory: Path) -> Any:
    """Return the SavedModel proto of a version directory.

    Raises:
        TfsError: there is none, or it is truncated, damaged or empty.
    """
    file = saved_model_file(directory)
    proto = read_proto(file, saved_model_pb2.SavedModel, hint="export the model again")
    if not proto.meta_graphs:
        raise TfsError(f"`{file}` is empty or no SavedModel: it holds no graph", "export the model again")
    return proto


def meta_graph(saved_model: Any, directory: Path, tags: Iterable[str] = (SERVE_TAG,)) -> Any:
    """Return the MetaGraphDef with exactly these tags; the only one there is, whatever its tags are.

    Args:
        saved_model: what `read_saved_model` gave.
        directory: where it came from, for the message.
        tags: the tags that a server asks for.

    Raises:
        TfsError: there are several and none has these tags.
    """
    wanted = set(tags)
    found = [graph for graph in saved_model.meta_graphs if set(graph.meta_info_def.tags) == wanted]
    if not found and len(saved_model.meta_graphs) == 1:
        return saved_model.meta_graphs[0]
    if not found:
        available = "; ".join(",".join(sorted(graph.meta_info_def.tags)) for graph in saved_model.meta_graphs)
        raise TfsError(f"`{directory}` has no graph with the tags {','.join(sorted(wanted))}", f"it has: {available}")
    return found[0]


def signatures_of(graph: Any) -> dict[str, Signature]:
    """Return the signatures of a MetaGraphDef by name, in alphabetical order, without those for loaders only."""
    return {
        name: signature_of(name, proto)
        for name, proto in sorted(graph.signature_def.items())
        if name not in _LOADER_SIGNATURES
    }


def signature_of(name: str, definition: Any) -> Signature:
    """Return what a SignatureDef says."""
    return Signature(
        name,
        _tensors(definition.inputs),
        _tensors(definition.outputs),
        definition.method_name,
        _defaults(definition),
    )


def read_signatures(directory: Path) -> dict[str, Signature]:
    """Return the signatures of a version directory by name.

    Raises:
        TfsError: `directory` is no readable SavedModel.
    """
    return signatures_of(meta_graph(read_saved_model(directory), directory))


def signature_named(signatures: dict[str, Signature], name: str, directory: Path) -> Signature:
    """Return one signature.

    Raises:
        TfsError: there is none of this name; the message lists those there are.
    """
    if name not in signatures:
        raise TfsError(f"`{directory}` has no signature `{name}`", f"it has: {', '.join(signatures) or 'none'}")
    return signatures[name]


def _find_file(directory: Path) -> Path | None:
    files = (directory / "saved_model.pb", directory / "saved_model.pbtxt")
    return next((file for file in files if file.is_file()), None)


def _defaults(signature: Any) -> dict[str, Any]:
    # TensorFlow 2.15 has no defaults yet.
    protos = getattr(signature, "defaults", {})
    if not protos:
        return {}
    # With them comes numpy, which few signatures need.
    from tfs.savedmodel.json_tensors import json_from_array
    from tfs.savedmodel.tensors import array_from_proto

    return {alias: json_from_array(array_from_proto(protos[alias])) for alias in sorted(protos)}


def _tensors(infos: Any) -> dict[str, TensorInfo]:
    return {alias: _tensor_info(info) for alias, info in sorted(infos.items())}


def _tensor_info(info: Any) -> TensorInfo:
    encoding = info.WhichOneof("encoding")
    components: tuple[str, ...] = ()
    if encoding == "coo_sparse":
        sparse = info.coo_sparse
        components = (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
    elif encoding == "composite_tensor":
        components = tuple(part.name for part in info.composite_tensor.components)
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    return TensorInfo(dtype_name(info.dtype), sizes, info.name, components)
