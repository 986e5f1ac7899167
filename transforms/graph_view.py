"""A graph as passes see it: names, canonical tensor references, readers, constants, topological order.

A view is never changed. A pass collects its changes in a `GraphEdit` and builds a new view from it; node protos that
did not change are shared between the two. Building a view and asking it anything is linear in the size of the graph.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tfs.savedmodel.protos import load
from tfs.savedmodel.streaming import field_size

if TYPE_CHECKING:
    import numpy as np

__all__ = ["COLOCATED", "CONTROL", "GraphView", "NodeDef", "Reader", "Roots", "Tensor", "attribute", "node_def"]

NodeDef: TypeAlias = Any  # tensorflow.NodeDef

CONTROL = -1
_CACHED_BYTES = 65536
COLOCATED = b"loc:@"


class Tensor(NamedTuple):
    """One output of a node in canonical form; `port` is `CONTROL` for the node's completion (`^name`)."""

    node: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Tensor":
        """Read `name`, `name:k` or `^name`."""
        if text.startswith("^"):
            return cls(text[1:], CONTROL)
        name, colon, port = text.rpartition(":")
        return cls(name, int(port)) if colon and port.isdecimal() else cls(text, 0)

    def __str__(self) -> str:
        if self.port == CONTROL:
            return f"^{self.node}"
        return f"{self.node}:{self.port}" if self.port else self.node


class Reader(NamedTuple):
    """One input of a node: input `slot` of `node` reads output `port` of the node asked about."""

    node: str
    slot: int
    port: int


@dataclass(frozen=True)
class Roots:
    """What must survive every pass: the graph's contract with the signatures, the init op and the loaders.

    Attributes:
        fed: tensors that a caller feeds; what computes them is of no interest.
        fetched: tensors that a caller reads.
        nodes: further nodes that keep their name, op and inputs' meaning (init op, asset tensors, saver).
        init_op: the one of `nodes` that the loaders run after restoring, if there is one.
    """

    fed: frozenset[Tensor] = frozenset()
    fetched: frozenset[Tensor] = frozenset()
    nodes: frozenset[str] = frozenset()
    init_op: str | None = None

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all nodes that may not go away."""
        return frozenset({t.node for t in self.fed} | {t.node for t in self.fetched} | self.nodes)

    @cached_property
    def fed_names(self) -> frozenset[str]:
        """The names of the nodes that a caller feeds."""
        return frozenset(t.node for t in self.fed)


def attribute(node: NodeDef, key: str) -> Any:
    """Return the AttrValue of an attribute that a node may lack, an empty one then.

    `node.attr[key]` would add the key to the node, and an attribute without a value makes a graph invalid.
    """
    return node.attr[key] if key in node.attr else load("attr_value_pb2").AttrValue()


def node_def(op: str, name: str, inputs: Iterable[Tensor] = (), device: str = "", **attributes: Any) -> NodeDef:
    """Return a new node; each attribute is an AttrValue or a value that its `type`, `i`, `b`, `s` or `f` can hold.

    Integers go into `i`; pass an AttrValue for a type.
    """
    node = load("node_def_pb2").NodeDef(op=op, name=name, device=device, input=[str(i) for i in inputs])
    for key, value in attributes.items():
        if isinstance(value, bool):
            node.attr[key].b = value
        elif isinstance(value, int):
            node.attr[key].i = value
        elif isinstance(value, bytes):
            node.attr[key].s = value
        else:
            node.attr[key].CopyFrom(value)
    return node


class GraphView:
    """An immutable graph with its roots.

    Args:
        nodes: the graph's nodes, names unique; not changed by anyone from now on. Wishes to be placed where a node is
            that is not among them (`_class`) are dropped, since TensorFlow refuses a graph that has one.
        roots: what has to survive.
        library: the FunctionDefLibrary that the nodes' functions live in.
        versions: the GraphDef's VersionDef.

    Raises:
        ValueError: two nodes have one name.
    """

    def __init__(self, nodes: Iterable[NodeDef], roots: Roots, library: Any = None, versions: Any = None) -> None:
        self.nodes: Mapping[str, NodeDef] = _without_lost_colocations(_by_name(nodes))
        self.roots = roots
        self.library = library if library is not None else load("function_pb2").FunctionDefLibrary()
        self.versions = versions if versions is not None else load("versions_pb2").VersionDef()
        self._constants: dict[str, np.ndarray] = {}

    @classmethod
    def of(cls, graph_def: Any, roots: Roots) -> "GraphView":
        """Return a view of a copy of `graph_def`."""
        copy = type(graph_def)()
        copy.CopyFrom(graph_def)
        return cls(copy.node, roots, copy.library, copy.versions)

    @cached_property
    def graph_def(self) -> Any:
        """The graph as a GraphDef of its own."""
        graph = load("graph_pb2").GraphDef(node=self.nodes.values(), library=self.library, versions=self.versions)
        return graph

    @cached_property
    def byte_size(self) -> int:
        """The number of bytes that the graph takes in a file."""
        rest = load("graph_pb2").GraphDef(library=self.library, versions=self.versions).ByteSize()
        return int(rest + sum(field_size(node.ByteSize()) for node in self.nodes.values()))

    @cached_property
    def _readers(self) -> Mapping[str, Sequence[Reader]]:
        readers: dict[str, list[Reader]] = {}
        for node in self.nodes.values():
            for index, text in enumerate(node.input):
                tensor = Tensor.parse(text)
                readers.setdefault(tensor.node, []).append(Reader(node.name, index, tensor.port))
        return readers

    def readers(self, name: str) -> Sequence[Reader]:
        """Return every input that reads an output of node `name` or waits for it."""
        return self._readers.get(name, ())

    def data_inputs(self, name: str) -> list[Tensor]:
        """Return the data inputs of node `name` in order."""
        return [Tensor.parse(text) for text in self.nodes[name].input if not text.startswith("^")]

    def control_inputs(self, name: str) -> list[str]:
        """Return the names of the nodes that node `name` waits for."""
        return [text[1:] for text in self.nodes[name].input if text.startswith("^")]

    def is_root(self, name: str) -> bool:
        """Return whether node `name` may not be renamed, replaced or removed."""
        return name in self.roots.names

    def is_constant(self, tensor: Tensor) -> bool:
        """Return whether `tensor` is the value of a Const node that nobody feeds."""
        node = self.nodes.get(tensor.node)
        return node is not None and node.op == "Const" and tensor.port == 0 and tensor.node not in self.roots.fed_names

    def constant(self, tensor: Tensor) -> "np.ndarray | None":
        """Return the value of `tensor` if a Const node holds it, else None; not to be written to."""
        if not self.is_constant(tensor):
            return None
        if tensor.node in self._constants:
            return self._constants[tensor.node]
        from tensorflow.python.framework.tensor_util import MakeNdarray

        value: np.ndarray = MakeNdarray(self.nodes[tensor.node].attr["value"].tensor)
        if value.nbytes <= _CACHED_BYTES:  # large ones would stand in memory once more for every view
            self._constants[tensor.node] = value
        return value

    @cached_property
    def order(self) -> Sequence[str]:
        """The names of all nodes, each after what it reads; the back edges of old-style loops are not counted."""
        waiting = dict.fromkeys(self.nodes, 0)
        for node in self.nodes.values():
            for text in node.input:
                if not self._is_back_edge(node, text):
                    waiting[node.name] += 1
        ready = deque(name for name, count in waiting.items() if count == 0)
        order: list[str] = []
        while ready:
            name = ready.popleft()
            order.append(name)
            for reader in self.readers(name):
                node = self.nodes[reader.node]
                if self._is_back_edge(node, node.input[reader.slot]):
                    continue
                waiting[reader.node] -= 1
                if waiting[reader.node] == 0:
                    ready.append(reader.node)
        return order

    def _is_back_edge(self, node: NodeDef, text: str) -> bool:
        source = self.nodes.get(Tensor.parse(text).node)
        return node.op == "Merge" and source is not None and source.op == "NextIteration"

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """Return `names` and all nodes that they need."""
        seen: set[str] = set()
        todo = [name for name in names if name in self.nodes]
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            todo.extend(Tensor.parse(text).node for text in self.nodes[name].input)
        return seen

    def descendants(self, names: Iterable[str]) -> set[str]:
        """Return `names` and all nodes that depend on one of them."""
        seen: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo.extend(reader.node for reader in self.readers(name))
        return seen

    def with_library(self, library: Any) -> "GraphView":
        """Return the same nodes and roots over another function library."""
        return GraphView(self.nodes.values(), self.roots, library, self.versions)

    def with_roots(self, roots: Roots) -> "GraphView":
        """Return the same graph under other roots."""
        return GraphView(self.nodes.values(), roots, self.library, self.versions)

    def only(self, names: Iterable[str]) -> "GraphView":
        """Return the graph of the nodes in `names`, in the order of this one."""
        keep = set(names)
        nodes = (node for name, node in self.nodes.items() if name in keep)
        return GraphView(nodes, self.roots, self.library, self.versions)

    def __iter__(self) -> Iterator[NodeDef]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)


def _by_name(nodes: Iterable[NodeDef]) -> dict[str, NodeDef]:
    found: dict[str, NodeDef] = {}
    for node in nodes:
        if node.name in found:
            raise ValueError(f"two nodes are called `{node.name}`")
        found[node.name] = node
    return found


def _without_lost_colocations(nodes: dict[str, NodeDef]) -> dict[str, NodeDef]:
    for name, node in nodes.items():
        if "_class" not in node.attr:
            continue
        wishes = node.attr["_class"].list.s
        kept = [wish for wish in wishes if not wish.startswith(COLOCATED) or _place(wish) in nodes]
        if len(kept) < len(wishes):
            copy = type(node)()
            copy.CopyFrom(node)
            copy.attr["_class"].list.s[:] = kept
            if not kept:
                del copy.attr["_class"]
            nodes[name] = copy
    return nodes


def _place(wish: bytes) -> str:
    return wish[len(COLOCATED) :].decode()
