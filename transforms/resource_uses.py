"""How resources are used: what only reads a variable, what hands it on, and what a constant cannot stand in for."""

from collections.abc import Iterable
from typing import Any

from tfs.transforms.function_bodies import body_view
from tfs.transforms.graph_view import GraphView, NodeDef, Reader, Tensor

__all__ = ["CALLS", "PASSING_ON", "READS", "ResourceUses", "is_loop", "passed_on", "resource_readers"]

READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape"})
PASSING_ON = frozenset({"Identity", "IdentityN", "Switch", "Enter"})
# Node attribute that lists the argument types, and the first node input that is an argument.
CALLS = {
    "PartitionedCall": ("Tin", 0),
    "StatefulPartitionedCall": ("Tin", 0),
    "If": ("Tin", 1),
    "StatelessIf": ("Tin", 1),
    "Case": ("Tin", 1),
    "StatelessCase": ("Tin", 1),
    "While": ("T", 0),
    "StatelessWhile": ("T", 0),
}


class ResourceUses:
    """Which resources are used in a way that a constant cannot stand in for."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._functions = {function.signature.name: function for function in library.function}
        self._known: dict[tuple[str, int, bool], bool] = {}

    def blocked(self, view: GraphView, resource: Tensor, within: set[str] | None = None) -> bool:
        """Return whether a node (of those in `within`) does more with `resource` than read it."""
        for reader in view.readers(resource.node):
            outside = within is not None and reader.node not in within
            if reader.port != resource.port or outside:
                continue
            if self.use_is_blocked(view, reader, within):
                return True
        return False

    def use_is_blocked(self, view: GraphView, reader: Reader, within: set[str] | None = None) -> bool:
        """Return whether this one use changes the resource, or hands it to something that does."""
        node = view.nodes[reader.node]
        if node.op in READS:
            return False
        if node.op in PASSING_ON:
            return any(self.blocked(view, output, within) for output in passed_on(node, reader.slot))
        if node.op not in CALLS:
            return True
        argument = reader.slot - CALLS[node.op][1]
        if argument < 0:
            return True
        loop = is_loop(node)
        for key, function in _callees(node):
            # A loop's body has to hand the resource on as it came in; then the loop's output is the same resource.
            if self._argument_is_blocked(function, argument, may_return=loop and key == "body"):
                return True
        return loop and self.blocked(view, Tensor(node.name, argument), within)

    def _argument_is_blocked(self, name: str, argument: int, *, may_return: bool) -> bool:
        key = (name, argument, may_return)
        if key not in self._known:
            self._known[key] = False  # a recursive call adds no use of its own
            body = body_view(self._functions[name], self._library) if name in self._functions else None
            self._known[key] = body is None or self._body_blocks(body, name, argument, may_return)
        return self._known[key]

    def _body_blocks(self, body: GraphView, name: str, argument: int, may_return: bool) -> bool:
        resource = Tensor(self._functions[name].signature.input_arg[argument].name, 0)
        if not may_return:
            return self.blocked(body, resource)
        returned = [node for node in body if node.op == "_Retval" and node.attr["index"].i == argument]
        if len(returned) != 1 or _source(body, Tensor.parse(returned[0].input[0])) != resource:
            return True
        inside = {node.name for node in body} - {returned[0].name}
        return self.blocked(body, resource, inside)


def _source(view: GraphView, tensor: Tensor) -> Tensor:
    """Look through Identity nodes."""
    while view.nodes[tensor.node].op in ("Identity", "IdentityN"):
        tensor = Tensor.parse(view.nodes[tensor.node].input[tensor.port])
    return tensor


def is_loop(node: NodeDef) -> bool:
    """Return whether the node is a While, whose results are its arguments after the last step."""
    return node.op in ("While", "StatelessWhile")


def passed_on(node: NodeDef, index: int) -> list[Tensor]:
    """Return the outputs of a node that are what went into its input `index`."""
    if node.op == "Switch":
        return [Tensor(node.name, 0), Tensor(node.name, 1)]
    return [Tensor(node.name, index)] if node.op in PASSING_ON or is_loop(node) else []


def _callees(node: NodeDef) -> list[tuple[str, str]]:
    found = []
    for key, value in node.attr.items():
        if value.HasField("func"):
            found.append((key, value.func.name))
        elif value.HasField("list"):
            found.extend((key, function.name) for function in value.list.func)
    return found


def resource_readers(view: GraphView, tensor: Tensor) -> Iterable[str]:
    """Yield the nodes of the main graph that use a resource, those that only hand it on left out."""
    for reader in view.readers(tensor.node):
        if reader.port != tensor.port:
            continue
        node = view.nodes[reader.node]
        if node.op in PASSING_ON:
            for output in passed_on(node, reader.slot):
                yield from resource_readers(view, output)
        else:
            yield node.name
