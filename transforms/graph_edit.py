"""Changes to a graph, collected and then applied at once to give a new view."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Tensor, node_def

if TYPE_CHECKING:
    import numpy as np

__all__ = ["GraphEdit", "constant_node"]


def constant_node(name: str, value: "np.ndarray", device: str = "") -> NodeDef:
    """Return a Const node that holds `value` bit for bit."""
    from tensorflow.python.framework.tensor_util import make_tensor_proto

    proto = make_tensor_proto(value)
    node = node_def("Const", name, device=device)
    node.attr["dtype"].type = proto.dtype
    node.attr["value"].tensor.CopyFrom(proto)
    return node


class GraphEdit:
    """What a pass wants changed in `view`; the view itself stays as it is."""

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._nodes: dict[str, NodeDef] = {}
        self._dropped: set[str] = set()
        self._redirected: dict[Tensor, Tensor] = {}
        self._control: dict[str, tuple[str, ...]] = {}
        self._taken: dict[str, int] = {}

    @property
    def changed(self) -> bool:
        """Whether anything was asked for."""
        return bool(self._nodes or self._dropped or self._redirected or self._control)

    def put(self, node: NodeDef) -> Tensor:
        """Add `node`, or let it take the place of the node of its name; returns its first output."""
        self._nodes[node.name] = node
        self._dropped.discard(node.name)
        return Tensor(node.name, 0)

    def latest(self, name: str) -> NodeDef:
        """Return the node of that name with the changes made so far; not to be written to."""
        return self._nodes.get(name) or self._view.nodes[name]

    def copy(self, name: str) -> NodeDef:
        """Return a copy of the latest node of that name, to be changed and put."""
        node = self.latest(name)
        copy = type(node)()
        copy.CopyFrom(node)
        return copy

    def drop(self, name: str) -> None:
        """Remove a node; whatever read it has to be redirected or changed as well."""
        self._nodes.pop(name, None)
        self._dropped.add(name)

    def redirect(self, old: Tensor, new: Tensor) -> None:
        """Let every reader of `old` read `new`; redirections may be chained."""
        self._redirected[old] = new

    def redirect_control(self, name: str, successors: Iterable[str]) -> None:
        """Let every node that waited for `name` wait for `successors` instead."""
        self._control[name] = tuple(successors)

    def wait_for(self, name: str, others: Iterable[str]) -> None:
        """Let node `name` wait for the nodes `others` as well."""
        new = [text for text in dict.fromkeys(f"^{other}" for other in others) if text not in self.latest(name).input]
        if new:
            node = self.copy(name)
            node.input.extend(new)
            self.put(node)

    def fresh_name(self, base: str) -> str:
        """Return `base`, or `base_1`, `base_2`, ... if that name is taken."""
        name = base
        while name in self._view.nodes or name in self._nodes:
            self._taken[base] = self._taken.get(base, 0) + 1
            name = f"{base}_{self._taken[base]}"
        return name

    def constant(self, base: str, value: "np.ndarray", device: str = "") -> Tensor:
        """Add a constant under a fresh name."""
        return self.put(constant_node(self.fresh_name(base), value, device))

    def view(self, library: Any = None) -> GraphView:
        """Return the changed graph: no dropped nodes, inputs redirected, control inputs once and behind data."""
        nodes = [self._nodes.get(name, node) for name, node in self._view.nodes.items() if name not in self._dropped]
        nodes += [node for name, node in self._nodes.items() if name not in self._view.nodes]
        if self._redirected or self._control:
            nodes = [self._with_inputs(node) for node in nodes]
        view = self._view
        return GraphView(nodes, view.roots, library if library is not None else view.library, view.versions)

    def _with_inputs(self, node: NodeDef) -> NodeDef:
        data: list[str] = []
        control: dict[str, None] = {}
        for text in node.input:
            tensor = Tensor.parse(text)
            if tensor.port == CONTROL:
                control.update((f"^{name}", None) for name in self._successors(tensor.node))
            else:
                data.append(str(self._target(tensor)))
        inputs = [*data, *control]
        if inputs == list(node.input):
            return node
        changed = type(node)()
        changed.CopyFrom(node)
        changed.ClearField("input")
        changed.input.extend(inputs)
        return changed

    def _target(self, tensor: Tensor) -> Tensor:
        path = []
        while tensor in self._redirected:
            path.append(tensor)
            tensor = self._redirected[tensor]
        for step in path:  # so that long chains are walked once
            self._redirected[step] = tensor
        return tensor

    def _successors(self, name: str) -> list[str]:
        found: dict[str, None] = {}
        todo, seen = [name], set()
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen.add(at)
            if at in self._control:
                todo.extend(reversed(self._control[at]))
            else:
                found[at] = None
        return list(found)
