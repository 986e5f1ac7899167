"""Which nodes stand for one variable, and which variables a graph has no room for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_view import GraphView, Tensor, attribute

if TYPE_CHECKING:
    import numpy as np

__all__ = ["variables_beyond", "with_one_handle_each"]


def with_one_handle_each(view: GraphView) -> GraphView:
    """Let all handles of one variable be one node: each signature has its own, and what one writes all others read."""
    edit = GraphEdit(view)
    first: dict[tuple[Any, ...], str] = {}
    for node in view:
        if node.op != "VarHandleOp" or view.is_root(node.name):
            continue
        shared = attribute(node, "shared_name").s or node.name.encode()
        key = (shared, attribute(node, "container").s, node.attr["dtype"].type, node.device)
        handle = first.setdefault(key, node.name)
        if handle != node.name:
            edit.redirect(Tensor(node.name, 0), Tensor(handle, 0))
            edit.redirect_control(node.name, [handle])
            edit.drop(node.name)
    return edit.view() if edit.changed else view


def variables_beyond(values: "Mapping[str, np.ndarray]", max_bytes: int) -> frozenset[str]:
    """Return the largest variables, as many as have to stay so that the others fit into `max_bytes`."""
    total = sum(value.nbytes for value in values.values())
    found: set[str] = set()
    for name in sorted(values, key=lambda name: -values[name].nbytes):
        if total <= max_bytes:
            break
        total -= values[name].nbytes
        found.add(name)
    return frozenset(found)
