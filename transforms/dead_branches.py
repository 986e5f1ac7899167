"""Taking the branch that a constant predicate chooses, in old-style (Switch, Merge) and new-style (If) conditionals."""

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Tensor, node_def
from tfs.transforms.inlining import inline_functions

__all__ = ["take_constant_branches"]


def take_constant_branches(view: GraphView) -> tuple[GraphView, int]:
    """Return the graph without the branches that can never run, and the number of conditionals resolved."""
    view, ifs = _resolve_ifs(view)
    view, switches = _resolve_switches(view)
    return view, ifs + switches


def _predicate(view: GraphView, tensor: Tensor) -> bool | None:
    value = view.constant(tensor)
    return bool(value.any()) if value is not None and value.size == 1 and value.dtype == bool else None


def _resolve_ifs(view: GraphView) -> tuple[GraphView, int]:
    edit = GraphEdit(view)
    count = 0
    for node in view:
        if node.op not in ("If", "StatelessIf"):
            continue
        chosen = _predicate(view, Tensor.parse(node.input[0]))
        if chosen is None:
            continue
        call = node_def("StatefulPartitionedCall" if node.op == "If" else "PartitionedCall", node.name)
        call.device = node.device
        call.input.extend(node.input[1:])
        call.attr["f"].CopyFrom(node.attr["then_branch" if chosen else "else_branch"])
        for key in ("Tin", "Tout"):
            call.attr[key].CopyFrom(node.attr[key])
        edit.put(call)
        count += 1
    if not count:
        return view, 0
    called = edit.view()
    # The body of a function is left with the call: only a whole graph can be given to the inliner.
    is_body = any(node.op == "_Arg" for node in called)
    return (called if is_body else inline_functions(called)), count


def _resolve_switches(view: GraphView) -> tuple[GraphView, int]:
    live: dict[str, int] = {}
    for node in view:
        if node.op == "Switch":
            chosen = _predicate(view, Tensor.parse(node.input[1]))
            if chosen is not None:
                live[node.name] = int(chosen)
    if not live:
        return view, 0
    dead = _dead_nodes(view, live)
    merges = {name: _live_inputs(view, view.nodes[name], live, dead) for name in _merges_behind(view, live, dead)}
    if any(len(inputs) != 1 for inputs in merges.values()) or any(view.is_root(name) for name in dead):
        return view, 0  # a join of more than one possible value, or a signature that asks for what never comes
    edit = GraphEdit(view)
    for name, port in live.items():
        edit.redirect(Tensor(name, port), view.data_inputs(name)[0])
        edit.drop(name)
    for name, inputs in merges.items():
        _replace_merge(view, edit, view.nodes[name], inputs[0])
    for name in dead:
        edit.drop(name)
    return edit.view(), len(live)


def _is_dead(tensor: Tensor, live: dict[str, int], dead: set[str]) -> bool:
    return tensor.node in dead or (tensor.port != CONTROL and live.get(tensor.node, tensor.port) != tensor.port)


def _dead_nodes(view: GraphView, live: dict[str, int]) -> set[str]:
    """Return the nodes that never run: they read, or wait for, the output of a Switch that is not chosen."""
    dead: set[str] = set()
    for name in view.order:
        node = view.nodes[name]
        inputs = [Tensor.parse(text) for text in node.input]
        stopped = [_is_dead(tensor, live, dead) for tensor in inputs]
        if node.op == "Merge":
            data = [flag for tensor, flag in zip(inputs, stopped, strict=True) if tensor.port != CONTROL]
            if all(data):
                dead.add(name)
        elif any(stopped):
            dead.add(name)
    return dead


def _merges_behind(view: GraphView, live: dict[str, int], dead: set[str]) -> list[str]:
    return [
        node.name
        for node in view
        if node.op == "Merge"
        and node.name not in dead
        and any(_is_dead(tensor, live, dead) for tensor in view.data_inputs(node.name))
    ]


def _live_inputs(view: GraphView, merge: NodeDef, live: dict[str, int], dead: set[str]) -> list[int]:
    data = view.data_inputs(merge.name)
    return [index for index, tensor in enumerate(data) if not _is_dead(tensor, live, dead)]


def _replace_merge(view: GraphView, edit: GraphEdit, merge: NodeDef, index: int) -> None:
    import numpy as np

    waits = [Tensor(name, CONTROL) for name in view.control_inputs(merge.name)]
    identity = node_def("Identity", merge.name, [view.data_inputs(merge.name)[index], *waits], merge.device)
    identity.attr["T"].CopyFrom(merge.attr["T"])
    edit.put(identity)
    if any(reader.port == 1 for reader in view.readers(merge.name)):
        edit.redirect(Tensor(merge.name, 1), edit.constant(f"{merge.name}/value_index", np.array(index, np.int32)))
