"""Keeping one of several nodes that compute the same."""

import hashlib
from collections.abc import Hashable

import numpy as np

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Tensor
from tfs.transforms.ops import CONTROL_FLOW_V1, is_stateful, output_arguments

__all__ = ["MergeDuplicateNodes"]

_INPUTS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "_Arg", "_Retval"})


@transform
class MergeDuplicateNodes(GraphPass):
    """Merges nodes that are equal in op, inputs, control inputs, device and all attributes.

    1. Constants are equal when dtype, shape and every byte of their values are, however the proto holds them.
    2. A root stays: others are merged into it, it is merged into none.
    3. Never merged: stateful nodes, inputs, old-style control flow. Each graph or function body by itself.

    Nodes are compared as they are, in the order of execution, so that one sweep merges chains of equal nodes.
    """

    name = "merge_duplicate_nodes"
    summary = "keep one of several nodes that compute the same"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with each set of equal nodes merged into one."""
        edit = GraphEdit(view)
        first: dict[Hashable, str] = {}
        # Roots first: a duplicate that comes earlier must be able to merge into them.
        target: dict[str, str] = {}
        merged = 0
        roots_by_key = self._roots(view)
        for name in view.order:
            node = view.nodes[name]
            if not _may_merge(view, node):
                continue
            key = _key(view, node, target)
            if key in roots_by_key and name not in view.roots.names:
                keeper = roots_by_key[key]
            else:
                keeper = first.setdefault(key, name)
            if keeper == name or view.is_root(name):
                continue
            target[name] = keeper
            for port in range(sum(count for _, count in output_arguments(node) or ())):
                edit.redirect(Tensor(name, port), Tensor(keeper, port))
            edit.redirect_control(name, [keeper])
            edit.drop(name)
            merged += 1
        return PassResult(edit.view(), {"nodes merged": merged}) if merged else PassResult(view)

    @staticmethod
    def _roots(view: GraphView) -> dict[Hashable, str]:
        """Return the roots without inputs (constants): only these can stand for a node that comes before them."""
        constants = (view.nodes[name] for name in sorted(view.roots.names) if view.nodes[name].op == "Const")
        return {_key(view, node, {}): node.name for node in constants if _may_merge(view, node)}


def _may_merge(view: GraphView, node: NodeDef) -> bool:
    return not (
        node.op in _INPUTS
        or node.name in view.roots.fed_names
        or node.name in view.roots.nodes
        or node.op in CONTROL_FLOW_V1
        or is_stateful(node)
    )


def _key(view: GraphView, node: NodeDef, target: dict[str, str]) -> Hashable:
    data, control = [], set()
    for text in node.input:
        tensor = Tensor.parse(text)
        tensor = Tensor(target.get(tensor.node, tensor.node), tensor.port)
        if tensor.port == CONTROL:
            control.add(tensor.node)
        else:
            data.append(tensor)
    attributes = tuple(
        (key, value.SerializeToString(deterministic=True))
        for key, value in sorted(node.attr.items())
        if not (node.op == "Const" and key == "value")
    )
    return (node.op, tuple(data), frozenset(control), node.device, attributes, _content(view, node))


def _content(view: GraphView, node: NodeDef) -> Hashable:
    """Return dtype, shape and bytes of a constant."""
    if node.op != "Const":
        return None
    value = view.constant(Tensor(node.name, 0))
    if value is None:
        return str(node.name)
    return (str(value.dtype), value.shape, _bytes(value))


def _bytes(value: np.ndarray) -> Hashable:
    """Return what two arrays of one dtype and shape have in common only if they are equal."""
    if value.dtype == object:
        return tuple(value.ravel().tolist())
    # A digest: the bytes would stand in memory once more, those of all constants at a time.
    return hashlib.sha256(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data).digest()
