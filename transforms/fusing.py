"""What the fusions of resizing and padding with a convolution have in common."""

from collections.abc import Callable

from tfs.transforms.factors import RefusedError
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import PassResult
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, attribute
from tfs.transforms.offering import rewrite_each
from tfs.transforms.static_shapes import StaticShapes

__all__ = ["copy_attributes", "fuse_convolutions", "sole_source"]

_KERNEL_TYPES = frozenset({1, 2, 19})  # DT_FLOAT, DT_DOUBLE, DT_HALF: what the fused kernels take


def fuse_convolutions(
    view: GraphView, fuse: Callable[[GraphView, GraphEdit, NodeDef], tuple[NodeDef, tuple[str, ...]] | None]
) -> PassResult:
    """Offer each plain Conv2D to `fuse`; it returns the node that takes its place and the names of those it swallows.

    None says that the pattern is not there, a RefusedError that it is and cannot be fused. A convolution with
    dilations, another data format than NHWC or explicit padding is left alone: no fused kernel has these. So is one of
    more than one row: the fused kernels of TensorFlow 2.15 to 2.21 compute the first row only.
    """
    shapes = StaticShapes(view)

    def rewrite(view: GraphView, edit: GraphEdit, node: NodeDef) -> bool:
        found = fuse(view, edit, node)
        if found is None:
            return False
        _require_plain(node)
        if (shapes(Tensor(node.name, 0)) or (None,))[0] != 1:
            raise RefusedError("it takes more than one row, of which the fused kernel gets only the first right")
        fused, swallowed = found
        edit.put(fused)
        waits = [name for name in (*swallowed, node.name) for name in view.control_inputs(name)]
        edit.wait_for(node.name, dict.fromkeys(waits))
        for name in swallowed:
            edit.redirect_control(name, [node.name])
            edit.drop(name)
        return True

    return rewrite_each(view, "Conv2D", rewrite, "convolutions fused")


def _require_plain(node: NodeDef) -> None:
    if any(size != 1 for size in attribute(node, "dilations").list.i):
        raise RefusedError("it has dilations, which no fused kernel has")
    if attribute(node, "data_format").s not in (b"", b"NHWC"):
        raise RefusedError("its data format is not NHWC")
    if node.attr["padding"].s == b"EXPLICIT":
        raise RefusedError("it has explicit padding, which no fused kernel has")
    if node.attr["T"].type not in _KERNEL_TYPES:
        raise RefusedError("its dtype is none that the fused kernel takes")


def sole_source(view: GraphView, node: NodeDef, ops: frozenset[str]) -> NodeDef | None:
    """Return the node that `node` reads first if its op is one of `ops`.

    Raises:
        RefusedError: it is, but something else reads it too, or a signature does.
    """
    source = view.nodes[Tensor.parse(node.input[0]).node]
    if source.op not in ops:
        return None
    if view.is_root(source.name):
        raise RefusedError(f"`{source.name}` is read by a signature")
    others = {reader.node for reader in view.readers(source.name)} - {node.name}
    if others:
        raise RefusedError(f"`{source.name}` is also read by `{min(others)}`")
    return source


def copy_attributes(target: NodeDef, source: NodeDef, *keys: str) -> None:
    """Copy the attributes in `keys`, and those of `source` that begin with `_`."""
    for key, value in source.attr.items():
        if key in keys or key.startswith("_"):
            target.attr[key].CopyFrom(value)
