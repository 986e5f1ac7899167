"""Taking nodes out by op and joining their readers to what they read."""

from collections.abc import Sequence

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, Skip, transform
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Tensor
from tfs.transforms.ops import CONTROL_FLOW_V1, op_definition

__all__ = ["RemoveNodes"]

_PORT_BY_PORT = frozenset({"IdentityN"})
_ASSET_OPS = frozenset({"Const", "Placeholder"})
_FRAME_OPS = CONTROL_FLOW_V1 - {"LoopCond"}


@transform
class RemoveNodes(GraphPass):
    """Removes nodes of the ops given that have 1 to `max_inputs` data inputs.

    1. Readers go to the node's first data input, port included (`Split:1` stays `Split:1`); an IdentityN's output k
       goes to its input k, however many it has.
    2. Who waited for the node waits for its inputs; its own control inputs move to its readers.
    3. A NoOp without data inputs is removed where that does not add edges.

    Kept: roots; nodes next to old-style control flow that order it; Identity nodes of assets and of ref-typed tensors.
    Removing an op that changes values (Relu) is done as told; verification is what notices.
    """

    name = "remove_nodes"
    summary = "remove nodes of the ops given and join their readers to their first input"
    arguments = (Argument("op", required=True, repeatable=True), Argument("max_inputs", int))

    def __init__(self, op: Sequence[str], max_inputs: int = 1) -> None:
        self._ops = frozenset(op)
        self._max_inputs = max_inputs

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph without the nodes that could go."""
        edit = GraphEdit(view)
        skipped: list[Skip] = []
        removed = 0
        # Control inputs that a node hands to its readers once it is gone, in the order of execution.
        inherited: dict[str, tuple[str, ...]] = {}
        for name in view.order:
            node = view.nodes[name]
            if node.op not in self._ops:
                self._inherit(view, node, edit, inherited)
                continue
            reason = self._reason_to_keep(view, node)
            if reason is not None:
                if reason:
                    skipped.append(Skip(name, reason))
                self._inherit(view, node, edit, inherited)
                continue
            self._remove(view, node, edit, inherited)
            removed += 1
        if not removed:
            return PassResult(view, {}, tuple(skipped))
        return PassResult(edit.view(), {"nodes removed": removed}, tuple(skipped))

    def _reason_to_keep(self, view: GraphView, node: NodeDef) -> str | None:
        """Return why the node has to stay: None if it may go, "" if that goes without saying."""
        data = view.data_inputs(node.name)
        if view.is_root(node.name):
            return ""
        if not data:
            return None if node.op == "NoOp" and _is_cheap_to_bypass(view, node) else ""
        if len(data) > self._max_inputs and node.op not in _PORT_BY_PORT:
            return f"it has {len(data)} data inputs, more than max_inputs={self._max_inputs}"
        if any(reader.port > 0 for reader in view.readers(node.name)) and node.op not in _PORT_BY_PORT:
            return "an output other than its first is read"
        return _control_flow_reason(view, node, data) or _special_input_reason(view, data)

    def _remove(self, view: GraphView, node: NodeDef, edit: GraphEdit, inherited: dict[str, tuple[str, ...]]) -> None:
        data, control = view.data_inputs(node.name), view.control_inputs(node.name)
        handed_on = dict.fromkeys(control)
        for tensor in data if node.op in _PORT_BY_PORT else data[:1]:
            handed_on.update(dict.fromkeys(inherited.get(tensor.node, ())))
        for port, tensor in enumerate(data if node.op in _PORT_BY_PORT else data[:1]):
            edit.redirect(Tensor(node.name, port), tensor)
        edit.redirect_control(node.name, [*(tensor.node for tensor in data), *control])
        inherited[node.name] = tuple(handed_on)
        edit.drop(node.name)

    @staticmethod
    def _inherit(view: GraphView, node: NodeDef, edit: GraphEdit, inherited: dict[str, tuple[str, ...]]) -> None:
        waits = dict.fromkeys(name for t in view.data_inputs(node.name) for name in inherited.get(t.node, ()))
        waits = {name: None for name in waits if f"^{name}" not in node.input}
        if waits:
            changed = edit.copy(node.name)
            changed.input.extend(f"^{name}" for name in waits)
            edit.put(changed)


def _is_cheap_to_bypass(view: GraphView, node: NodeDef) -> bool:
    before, after = len(node.input), len(view.readers(node.name))
    return before * after <= before + after


def _control_flow_reason(view: GraphView, node: NodeDef, data: list[Tensor]) -> str | None:
    waits = any(text.startswith("^") for text in node.input)
    awaited = any(reader.port == CONTROL for reader in view.readers(node.name))
    source = view.nodes[data[0].node]
    if source.op in _FRAME_OPS and (waits or awaited):
        return f"it carries control edges behind {source.op} `{source.name}`"
    if any(view.nodes[name].op in _FRAME_OPS for name in view.control_inputs(node.name)):
        return "it waits for a node of old-style control flow"
    return None


def _special_input_reason(view: GraphView, data: list[Tensor]) -> str | None:
    for tensor in data:
        source = view.nodes[tensor.node]
        if source.name in view.roots.nodes and source.op in _ASSET_OPS:
            return f"it reads asset `{source.name}`, which the loaders feed"
        definition = op_definition(source.op)
        if definition is not None and any(argument.is_ref for argument in definition.output_arg):
            return f"it reads the reference of variable `{source.name}`"
    return None
