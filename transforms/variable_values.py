"""The values that variables have in a restored session."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_view import GraphView, Tensor

if TYPE_CHECKING:
    import numpy as np

    from tfs.transforms.loading import LoadedModel

__all__ = ["variable_values"]


def variable_values(model: "LoadedModel", view: GraphView, names: Sequence[str]) -> "Mapping[str, np.ndarray]":
    """Return the values of the variables whose nodes are called `names`, read in one run of the model's session.

    A Keras 3 model written with `tf.saved_model.save` has each variable twice: the checkpoint restores one, the
    signature reads the other, and the v1 and C++ loaders never copy between them. For such a variable the value of its
    restored twin is returned.

    Raises:
        TfsError: a variable has no value, nor a twin that has one.
    """
    import tensorflow as tf

    if not names:
        return {}
    graph = model.session.graph
    with graph.as_default():
        handles = {name: graph.get_tensor_by_name(f"{name}:0") for name in names}
        missing = _uninitialised(model.session, handles)
        twins = _restored_twins(model.view)
        for name in missing:
            if name not in twins:
                raise TfsError(f"variable `{name}` has no value in the checkpoint", "export the model again")
            handles[name] = graph.get_tensor_by_name(f"{twins[name]}:0")
        still_missing = _uninitialised(model.session, {name: handles[name] for name in missing})
        if still_missing:
            raise TfsError(f"variable `{still_missing[0]}` has no value in the checkpoint", "export the model again")
        reads = {name: _read(tf, view.nodes[name], handle) for name, handle in handles.items()}
        values: dict[str, np.ndarray] = model.session.run(reads)
    return values


def _read(tf: Any, node: Any, handle: Any) -> Any:
    if node.op != "VarHandleOp":
        return tf.identity(handle)
    return tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.dtypes.as_dtype(node.attr["dtype"].type))


def _uninitialised(session: Any, handles: Mapping[str, Any]) -> list[str]:
    import tensorflow as tf

    checks = {
        name: tf.raw_ops.VarIsInitializedOp(resource=handle)
        if handle.dtype == tf.resource
        else tf.raw_ops.IsVariableInitialized(ref=handle)
        for name, handle in handles.items()
    }
    done = session.run(checks) if checks else {}
    return [name for name in handles if not done[name]]


def _restored_twins(view: GraphView) -> dict[str, str]:
    """Return, for each variable that only serves as another one's initial value, that other variable."""
    twins: dict[str, str] = {}
    for node in view:
        if node.op != "AssignVariableOp":
            continue
        target, value = (_behind_identities(view, tensor) for tensor in view.data_inputs(node.name)[:2])
        read = view.nodes[value.node]
        if read.op == "ReadVariableOp":
            source = _behind_identities(view, Tensor.parse(read.input[0]))
            if source.node != target.node:
                twins[source.node] = target.node
    return twins


def _behind_identities(view: GraphView, tensor: Tensor) -> Tensor:
    while view.nodes[tensor.node].op == "Identity":
        tensor = Tensor.parse(view.nodes[tensor.node].input[0])
    return tensor
