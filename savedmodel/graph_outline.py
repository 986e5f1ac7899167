"""A graph and its functions as plain lists: who feeds whom, who calls which function; for pictures of it."""

from dataclasses import dataclass
from typing import Any

from tfs.savedmodel.op_findings import all_nodes
from tfs.savedmodel.protos import types_pb2

__all__ = ["Outline", "OutlineNode", "Scope", "constant_sizes", "outline_of"]

_ARGUMENT, _RESOURCE_ARGUMENT, _RETURN = "Arg", "ResourceArg", "Return"


@dataclass(frozen=True)
class OutlineNode:
    """A node.

    Attributes:
        name: in its scope.
        op: its op; for what goes into a function `Arg`, or `ResourceArg` if that is a variable or table, for what comes
            out of it `Return`.
        inputs: positions of the nodes that feed it.
        controls: positions of the nodes that must only have run before it.
        calls: positions of the scopes of the functions that it calls.
    """

    name: str
    op: str
    inputs: tuple[int, ...] = ()
    controls: tuple[int, ...] = ()
    calls: tuple[int, ...] = ()


@dataclass(frozen=True)
class Scope:
    """The graph itself (without a name), or a function of its library."""

    name: str
    nodes: tuple[OutlineNode, ...]


@dataclass(frozen=True)
class Outline:
    """The graph, which comes first, and its functions."""

    scopes: tuple[Scope, ...]


def outline_of(graph_def: Any) -> Outline:
    """Return the outline of a GraphDef. An input that no node has is left out: the graph is only looked at."""
    functions = graph_def.library.function
    numbers = {function.signature.name: number for number, function in enumerate(functions, start=1)}
    scopes = [_scope("", graph_def.node, numbers)]
    for function in functions:
        returned = [(name, (source,)) for name, source in sorted(function.ret.items())]
        arguments = [
            (argument.name, _RESOURCE_ARGUMENT if argument.type == types_pb2.DT_RESOURCE else _ARGUMENT)
            for argument in function.signature.input_arg
        ]
        scopes.append(_scope(function.signature.name, function.node_def, numbers, arguments, returned))
    return Outline(tuple(scopes))


def constant_sizes(graph_def: Any) -> dict[str, int]:
    """Return the bytes of each constant's values as they stand in the file, by its name, with its function's before."""
    return {
        f"{function}/{node.name}" if function else node.name: node.attr["value"].tensor.ByteSize()
        for function, node in all_nodes(graph_def)
        if node.op == "Const"
    }


def _scope(name: str, nodes: Any, numbers: dict[str, int], arguments: Any = (), returned: Any = ()) -> Scope:
    places = {argument: place for place, (argument, _) in enumerate(arguments)}
    places |= {node.name: place for place, node in enumerate(nodes, start=len(places))}

    def found(inputs: Any, *, control: bool) -> tuple[int, ...]:
        names = (source.removeprefix("^").split(":")[0] for source in inputs if source.startswith("^") == control)
        return tuple(dict.fromkeys(places[source] for source in names if source in places))

    outline = [OutlineNode(argument, op) for argument, op in arguments]
    outline += [
        OutlineNode(
            node.name,
            node.op,
            found(node.input, control=False),
            found(node.input, control=True),
            tuple(dict.fromkeys(numbers[callee] for callee in _callees(node) if callee in numbers)),
        )
        for node in nodes
    ]
    outline += [OutlineNode(alias, _RETURN, found(source, control=False)) for alias, source in returned]
    return Scope(name, tuple(outline))


def _callees(node: Any) -> list[str]:
    names = [node.op]  # a function may be called as if it were an op
    for _, value in sorted(node.attr.items()):
        kind = value.WhichOneof("value")
        if kind == "func":
            names.append(value.func.name)
        elif kind == "list":
            names += [function.name for function in value.list.func]
    return names
