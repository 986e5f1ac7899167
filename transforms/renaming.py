"""Renaming nodes together with everything that knows them by name."""

from collections.abc import Mapping
from dataclasses import replace

from tfs.transforms.graph_view import COLOCATED, GraphView, NodeDef, Tensor
from tfs.transforms.ops import is_stateful, op_definition

__all__ = ["renamed_view"]


def renamed_view(view: GraphView, names: Mapping[str, str]) -> GraphView:
    """Return the graph with nodes renamed from key to value, in inputs, wishes for a place (`_class`) and roots.

    A resource that is shared by its node's name keeps the old one as its `shared_name`.
    """

    def tensor(old: Tensor) -> Tensor:
        return Tensor(names.get(old.node, old.node), old.port)

    def node(old: NodeDef) -> NodeDef:
        new = type(old)()
        new.CopyFrom(old)
        new.name = names.get(old.name, old.name)
        del new.input[:]
        new.input.extend(str(tensor(Tensor.parse(text))) for text in old.input)
        if "_class" in old.attr:
            new.attr["_class"].list.s[:] = [_wish(wish, names) for wish in old.attr["_class"].list.s]
        if new.name != old.name and _shares_by_name(old):
            new.attr["shared_name"].s = old.name.encode()
        return new

    roots = replace(
        view.roots,
        fed=frozenset(map(tensor, view.roots.fed)),
        fetched=frozenset(map(tensor, view.roots.fetched)),
        nodes=frozenset(names.get(name, name) for name in view.roots.nodes),
        init_op=names.get(view.roots.init_op, view.roots.init_op) if view.roots.init_op else None,
    )
    return GraphView(map(node, view), roots, view.library, view.versions)


def _wish(wish: bytes, names: Mapping[str, str]) -> bytes:
    name = wish.removeprefix(COLOCATED).decode()
    return COLOCATED + names[name].encode() if wish.startswith(COLOCATED) and name in names else wish


def _shares_by_name(node: NodeDef) -> bool:
    definition = op_definition(node.op)
    has_name = definition is not None and any(attribute.name == "shared_name" for attribute in definition.attr)
    return has_name and is_stateful(node) and not ("shared_name" in node.attr and node.attr["shared_name"].s)
