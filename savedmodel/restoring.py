"""Which variables of a SavedModel a server finds values for.

A server (the v1 and the C++ loader) runs the graph's restore op and then its init op. A signature that reads a variable
which neither of them sets fails with "Could not find variable". `tf.saved_model.save` of a Keras 3 model writes such
models: the signature reads `dense/kernel`, the checkpoint restores `Variable_1` (keras issues 19274, 20095, 20096).
"""

from collections.abc import Iterable
from typing import Any

__all__ = ["init_parts", "needs_checkpoint", "saver_parts", "unrestored_variables"]

_MAIN_OP_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_REFERENCE_VARIABLES = ("Variable", "VariableV2")  # of TF 1
_INIT_SIGNATURE = "__saved_model_init_op"
# Most nodes of most graphs: no attribute of theirs can name a function.
_CALLING_NOTHING = {"Const", "Identity", "NoOp", "Placeholder", "ReadVariableOp", "VarHandleOp"}


def unrestored_variables(graph: Any) -> list[str]:
    """Return the resource variables (by shared name) that a signature of a MetaGraphDef reads and no loader sets.

    Not empty means: those signatures fail in a server. Variables that live in function bodies and TF 1 reference
    variables are not looked at.
    """
    nodes = {node.name: node for node in graph.graph_def.node}
    setters = [graph.saver_def.restore_op_name, *_init_ops(graph)]
    return sorted(_variables_behind(nodes, _signature_outputs(graph)) - _variables_behind(nodes, setters))


def needs_checkpoint(graph: Any) -> bool:
    """Whether the main graph of a MetaGraphDef has variables that its init op does not set (to an asset's path)."""
    nodes = {node.name: node for node in graph.graph_def.node}
    if any(node.op in _REFERENCE_VARIABLES for node in nodes.values()):
        return True
    return bool(_variables_behind(nodes, nodes) - _variables_behind(nodes, _init_ops(graph)))


def saver_parts(graph: Any) -> tuple[set[str], set[str]]:
    """Return what only saves and restores the variables of a MetaGraphDef: names of nodes, names of functions."""
    nodes = {node.name: node for node in graph.graph_def.node}
    calls = _Calls(graph.graph_def.library)
    saver = (graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name)
    saving = _nodes_behind(nodes, [name for name in saver if name])
    serving = _nodes_behind(nodes, [*_signature_outputs(graph), *_init_ops(graph)])
    called = calls.below(nodes[name] for name in saving)
    return saving - serving, called - calls.below(nodes[name] for name in nodes.keys() - saving)


def init_parts(graph: Any) -> tuple[set[str], set[str]]:
    """Return what a loader runs to restore and initialise a MetaGraphDef: names of nodes, names of functions."""
    nodes = {node.name: node for node in graph.graph_def.node}
    run = _nodes_behind(nodes, [name for name in (graph.saver_def.restore_op_name, *_init_ops(graph)) if name])
    return run, _Calls(graph.graph_def.library).below(nodes[name] for name in run)


def _signature_outputs(graph: Any) -> list[str]:
    return [
        tensor
        for name, signature in graph.signature_def.items()
        if name != _INIT_SIGNATURE
        for info in signature.outputs.values()
        for tensor in _tensor_names(info)
    ]


class _Calls:
    """Which functions of a library are called where; each body is looked through once, when it is first asked for."""

    def __init__(self, library: Any) -> None:
        self._bodies = {function.signature.name: function.node_def for function in library.function}
        self._called: dict[str, set[str]] = {}

    def below(self, nodes: Iterable[Any]) -> set[str]:
        """Return the functions that these nodes call, and those that these call in turn."""
        found: set[str] = set()
        waiting = self._named(nodes)
        while waiting:
            name = waiting.pop()
            found.add(name)
            if name not in self._called:
                self._called[name] = self._named(self._bodies[name])
            waiting |= self._called[name] - found
        return found

    def _named(self, nodes: Iterable[Any]) -> set[str]:
        named: set[str] = set()
        for node in nodes:
            named.add(node.op)
            for value in node.attr.values() if node.op not in _CALLING_NOTHING else ():
                # Asked first, since protobuf makes an empty message of each kind that is looked at.
                kind = value.WhichOneof("value")
                if kind == "func":
                    named.add(value.func.name)
                elif kind == "list":
                    named.update(function.name for function in value.list.func)
        return named & self._bodies.keys()


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
    handles = (nodes[name] for name in _nodes_behind(nodes, tensors) if nodes[name].op == "VarHandleOp")
    return {node.attr["shared_name"].s.decode() or node.name for node in handles}


def _nodes_behind(nodes: dict[str, Any], tensors: Iterable[str]) -> set[str]:
    waiting = [_node_name(tensor) for tensor in tensors]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen and name in nodes:
            seen.add(name)
            waiting.extend(_node_name(tensor) for tensor in nodes[name].input)
    return seen


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").split(":")[0]
