"""Finding the constants that are worth storing in fewer bits."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfs.transforms.graph_view import GraphView, NodeDef, Tensor

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DT_FLOAT", "large_float_constants"]

DT_FLOAT = 1


def large_float_constants(view: GraphView, minimum_size: int) -> "Iterator[tuple[NodeDef, np.ndarray]]":
    """Yield the `Const` nodes of float32 with at least `minimum_size` elements, and their values.

    Those that are fetched or fed stay what they are, and are left out.
    """
    for node in view:
        if node.op == "Const" and node.attr["dtype"].type == DT_FLOAT and not view.is_root(node.name):
            values = view.constant(Tensor(node.name, 0))
            if values is not None and values.size >= minimum_size:
                yield node, values
