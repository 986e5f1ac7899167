"""Printing the values of nodes while the model runs."""

from collections.abc import Sequence

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, Skip, transform
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Tensor, node_def
from tfs.transforms.ops import CONTROL_FLOW_V1, output_arguments, output_types

__all__ = ["InsertLogging"]

_PRINTABLE = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 10, 14, 17, 19, 22, 23})  # numbers, bools and strings


@transform
class InsertLogging(GraphPass):
    """Puts a `Print` named `<node>__print__` behind every node of the ops and name prefixes given.

    Its data are the node's outputs that are read; readers of output 0 read the Print instead. A message begins with
    `;<op>;` if `show_op`, then `;<node>__print__;` if `show_name`, then `message`. Without `op` or `prefix` all nodes
    are meant. Old-style control flow, and nodes whose output 0 nobody reads, are left alone.
    """

    name = "insert_logging"
    summary = "print the values of nodes while the model runs"
    bodies = False
    arguments = (
        Argument("op", repeatable=True),
        Argument("prefix", repeatable=True),
        Argument("show_op", bool),
        Argument("show_name", bool),
        Argument("message"),
        Argument("first_n", int),
        Argument("summarize", int),
    )

    def __init__(
        self,
        op: Sequence[str] = (),
        prefix: Sequence[str] = (),
        show_op: bool = False,
        show_name: bool = False,
        message: str = "",
        first_n: int = -1,
        summarize: int = 1024,
    ) -> None:
        self._ops = frozenset(op)
        self._prefixes = tuple(prefix)
        self._show_op = show_op
        self._show_name = show_name
        self._message = message
        self._first_n = first_n
        self._summarize = summarize

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with Print nodes."""
        edit = GraphEdit(view)
        skipped: list[Skip] = []
        count = 0
        for node in view:
            if not self._is_meant(node) or not any(reader.port != CONTROL for reader in view.readers(node.name)):
                continue
            if any(t.node == node.name for t in view.roots.fetched) or node.name in view.roots.nodes:
                skipped.append(Skip(node.name, "its name belongs to a signature, init op, asset or saver"))
                continue
            types = output_types(node)
            ports = sorted({reader.port for reader in view.readers(node.name)} - {CONTROL})
            if 0 in ports and types is not None and all(types[port] in _PRINTABLE for port in ports):
                self._put(view, edit, node, ports, types)
                count += 1
        if not count:
            return PassResult(view, {}, tuple(skipped))
        return PassResult(edit.view(), {"Print nodes inserted": count}, tuple(skipped))

    def _is_meant(self, node: NodeDef) -> bool:
        by_op = not self._ops or node.op in self._ops
        by_prefix = not self._prefixes or node.name.startswith(self._prefixes)
        return by_op and by_prefix and node.op not in CONTROL_FLOW_V1 and bool(output_arguments(node))

    def _put(self, view: GraphView, edit: GraphEdit, node: NodeDef, ports: list[int], types: list[int]) -> None:
        name = edit.fresh_name(f"{node.name}__print__")
        message = f";{node.op};" * self._show_op + f";{name};" * self._show_name + self._message
        outputs = [Tensor(node.name, port) for port in ports]
        logged = node_def("Print", name, [outputs[0], *outputs], node.device, message=message.encode())
        logged.attr["T"].type = types[0]
        logged.attr["U"].list.type.extend(types[port] for port in ports)
        logged.attr["first_n"].i = self._first_n
        logged.attr["summarize"].i = self._summarize
        edit.put(logged)
        for reader in view.readers(node.name):
            if reader.port == 0:
                changed = edit.copy(reader.node)
                changed.input[reader.slot] = name
                edit.put(changed)
