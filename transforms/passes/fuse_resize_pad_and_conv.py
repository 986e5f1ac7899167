"""Fusing a bilinear resize and a mirroring pad into the convolution behind them."""

from tfs.transforms.fusing import copy_attributes, fuse_convolutions, sole_source
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, attribute, node_def
from tfs.transforms.passes.fuse_resize_and_conv import resize_before

__all__ = ["FuseResizePadAndConv"]

_MIRROR_PAD = frozenset({"MirrorPad"})


@transform
class FuseResizePadAndConv(GraphPass):
    """`Conv2D(MirrorPad(ResizeBilinear(x, size), pads), w)` -> `FusedResizeAndPadConv2D(x, size, pads, w)`.

    Left alone: a batch of other than one row (see `fusing`); a convolution with dilations, NCHW or explicit padding;
    a resize with half-pixel centers or that changes the dtype; what something else reads. The fused kernel is for
    CPUs only.
    """

    name = "fuse_resize_pad_and_conv"
    summary = "fuse a bilinear resize and a mirroring pad into the convolution behind them"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with fused nodes."""
        return fuse_convolutions(view, _fuse)


def _fuse(view: GraphView, edit: GraphEdit, conv: NodeDef) -> tuple[NodeDef, tuple[str, ...]] | None:
    pad = sole_source(view, conv, _MIRROR_PAD)
    resize = None if pad is None else resize_before(view, pad, conv)
    if pad is None or resize is None:
        return None
    texts = (resize.input[0], resize.input[1], pad.input[1], conv.input[1])
    fused = node_def("FusedResizeAndPadConv2D", conv.name, map(Tensor.parse, texts), conv.device)
    copy_attributes(fused, conv, "T", "padding", "strides")
    copy_attributes(fused, pad, "mode")
    fused.attr["resize_align_corners"].b = attribute(resize, "align_corners").b
    return fused, (resize.name, pad.name)
