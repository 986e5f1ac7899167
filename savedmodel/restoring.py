"""Which variables of a SavedModel a server finds values for.

A server (the v1 and the C++ loader) runs the graph's restore op and then its init op. A signature that reads a variable
which neither of them sets fails with "Could not find variable". `tf.saved_model.save` of a Keras 3 model writes such
models: the signature reads `dense/kernel`, the checkpoint restores `Variable_1` (keras issues 19274, 20095, 20096).
"""

from collections.abc import Iterable
from typing import Any

__all__ = ["unrestored_variables"]

_MAIN_OP_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_INIT_SIGNATURE = "__saved_model_init_op"


def unrestored_variables(graph: Any) -> list[str]:
    """Return the resource variables (by shared name) that a signature of a MetaGraphDef reads and no loader sets.

    Not empty means: those signatures fail in a server. Variables that live in function bodies and TF 1 reference
    variables are not looked at.
    """
    nodes = {node.name: node for node in graph.graph_def.node}
    setters = [graph.saver_def.restore_op_name, *_init_ops(graph)]
    outputs = [
        tensor
        for name, signature in graph.signature_def.items()
        if name != _INIT_SIGNATURE
        for info in signature.outputs.values()
        for tensor in _tensor_names(info)
    ]
    return sorted(_variables_behind(nodes, outputs) - _variables_behind(nodes, setters))


def _init_ops(graph: Any) -> list[str]:
    names: list[str] = []
    if _INIT_SIGNATURE in graph.signature_def:
        names.extend(info.name for info in graph.signature_def[_INIT_SIGNATURE].outputs.values())
    for collection in _MAIN_OP_COLLECTIONS:
        if collection in graph.collection_def:
            names.extend(graph.collection_def[collection].node_list.value)
    return names


def _tensor_names(info: Any) -> list[str]:
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        sparse = info.coo_sparse
        return [sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name]
    if encoding == "composite_tensor":
        return [part.name for part in info.composite_tensor.components]
    return [info.name]


def _variables_behind(nodes: dict[str, Any], tensors: Iterable[str]) -> set[str]:
    """Return the shared names of all variable handles from which a path leads to one of the tensors or ops."""
    waiting = [_node_name(tensor) for tensor in tensors]
    seen: set[str] = set()
    variables = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        node = nodes[name]
        if node.op == "VarHandleOp":
            variables.add(node.attr["shared_name"].s.decode() or name)
        waiting.extend(_node_name(tensor) for tensor in node.input)
    return variables


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").split(":")[0]
