"""Fusing a mirroring pad into the convolution behind it."""

from tfs.transforms.fusing import copy_attributes, fuse_convolutions, sole_source
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, node_def

__all__ = ["FusePadAndConv"]

_MIRROR_PAD = frozenset({"MirrorPad"})


@transform
class FusePadAndConv(GraphPass):
    """`Conv2D(MirrorPad(x, pads), w)` -> `FusedPadConv2D(x, pads, w)`.

    Left alone: a batch of other than one row (see `fusing`); a convolution with dilations, NCHW or explicit padding;
    a pad that something else reads. The fused kernel is for CPUs only.
    """

    name = "fuse_pad_and_conv"
    summary = "fuse a mirroring pad into the convolution behind it"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with fused nodes."""
        return fuse_convolutions(view, _fuse)


def _fuse(view: GraphView, edit: GraphEdit, conv: NodeDef) -> tuple[NodeDef, tuple[str, ...]] | None:
    pad = sole_source(view, conv, _MIRROR_PAD)
    if pad is None:
        return None
    inputs = [Tensor.parse(text) for text in (*pad.input[:2], conv.input[1])]
    fused = node_def("FusedPadConv2D", conv.name, inputs, conv.device)
    copy_attributes(fused, conv, "T", "padding", "strides")
    copy_attributes(fused, pad, "mode")
    return fused, (pad.name,)
