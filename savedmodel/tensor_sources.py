"""Where the values of a tensor come from, across the calls of a graph's functions."""

from collections.abc import Iterator, Mapping
from typing import Any

from tfs.savedmodel.op_findings import all_nodes

__all__ = ["FIRST_INPUT", "TensorSources"]

FIRST_INPUT = slice(1)
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}


class TensorSources:
    """The nodes of a GraphDef and its functions, with where each function's arguments come from.

    A scope is the name of a function, empty for the graph itself.
    """

    def __init__(self, graph_def: Any) -> None:
        self._nodes: dict[str, dict[str, Any]] = {"": {}}
        self._arguments: dict[str, list[str]] = {}
        for function in graph_def.library.function:
            self._nodes[function.signature.name] = {}
            self._arguments[function.signature.name] = [argument.name for argument in function.signature.input_arg]
        self._callers: dict[str, list[tuple[str, Any]]] = {}
        for scope, node in all_nodes(graph_def):
            self._nodes[scope][node.name] = node
            if node.op in _CALLS:
                self._callers.setdefault(node.attr["f"].func.name, []).append((scope, node))

    def nodes(self) -> Iterator[tuple[str, Any]]:
        """Yield each node with its scope."""
        for scope, nodes in self._nodes.items():
            for node in nodes.values():
                yield scope, node

    def of(self, scope: str, tensor: str, through: Mapping[str, slice]) -> Iterator[tuple[str, Any]]:
        """Yield the nodes (with their scopes) that the values of a tensor come from.

        Args:
            scope: where `tensor` is read.
            tensor: as a node's input names it.
            through: ops that are looked past, and which of their inputs the values come from.
        """
        waiting, seen = [(scope, _node_of(tensor))], set()
        while waiting:
            place = waiting.pop()
            if place in seen or place[1].startswith("^"):
                continue
            seen.add(place)
            scope, name = place
            node = self._nodes[scope].get(name)
            if node is None and name in self._arguments.get(scope, ()):
                position = self._arguments[scope].index(name)
                calls = [call for call in self._callers.get(scope, ()) if position < len(call[1].input)]
                waiting += [(caller, _node_of(call.input[position])) for caller, call in calls]
            elif node is not None and node.op in through:
                waiting += [(scope, _node_of(source)) for source in node.input[through[node.op]]]
            elif node is not None:
                yield scope, node


def _node_of(tensor: str) -> str:
    return tensor.split(":", maxsplit=1)[0]
