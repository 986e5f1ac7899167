"""Replacing names by the shortest ones there are."""

import itertools
import string
from collections.abc import Iterator

from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView
from tfs.transforms.renaming import renamed_view

__all__ = ["ObfuscateNames"]

_DIGITS = string.digits + string.ascii_letters


@transform
class ObfuscateNames(GraphPass):
    """Renames the nodes of the main graph to `0`, `1`, ..., in base 62.

    Signature tensors, init op, assets and saver keep their names, as do variables (the checkpoint knows them by it). A
    table that is shared by its node's name gets that name as its `shared_name`.
    """

    name = "obfuscate_names"
    summary = "replace the names of nodes by short ones without meaning"
    aliases = ("obfsucate_names",)
    bodies = False

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with short names."""
        kept = {node.name for node in view if view.is_root(node.name) or node.op in ("Variable", "VariableV2")}
        free = (name for name in _base_62() if name not in view.nodes)
        names = {name: next(free) for name in view.nodes if name not in kept}
        return PassResult(renamed_view(view, names), {"nodes renamed": len(names)}) if names else PassResult(view)


def _base_62() -> Iterator[str]:
    for length in itertools.count(1):
        for digits in itertools.product(_DIGITS, repeat=length):
            yield "".join(digits)
