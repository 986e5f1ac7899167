"""Fusing a bilinear resize into the convolution behind it."""

import numpy as np

from tfs.transforms.factors import RefusedError
from tfs.transforms.fusing import copy_attributes, fuse_convolutions, sole_source
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, attribute, node_def

__all__ = ["FuseResizeAndConv", "resize_before"]

_RESIZE = frozenset({"ResizeBilinear"})


@transform
class FuseResizeAndConv(GraphPass):
    """`Conv2D(ResizeBilinear(x, size), w)` -> `FusedResizeAndPadConv2D(x, size, no pads, w)`.

    Left alone: a batch of other than one row (see `fusing`); a convolution with dilations, NCHW or explicit padding;
    a resize with half-pixel centers, or that changes the dtype, or that something else reads. The fused kernel is for
    CPUs only.
    """

    name = "fuse_resize_and_conv"
    summary = "fuse a bilinear resize into the convolution behind it"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with fused nodes."""
        return fuse_convolutions(view, _fuse)


def _fuse(view: GraphView, edit: GraphEdit, conv: NodeDef) -> tuple[NodeDef, tuple[str, ...]] | None:
    resize = resize_before(view, conv, conv)
    if resize is None:
        return None
    paddings = edit.constant(f"{conv.name}_dummy_paddings", np.zeros((4, 2), np.int32), conv.device)
    inputs = [Tensor.parse(resize.input[0]), Tensor.parse(resize.input[1]), paddings, Tensor.parse(conv.input[1])]
    fused = node_def("FusedResizeAndPadConv2D", conv.name, inputs, conv.device, mode=b"REFLECT")
    copy_attributes(fused, conv, "T", "padding", "strides")
    fused.attr["resize_align_corners"].b = attribute(resize, "align_corners").b
    return fused, (resize.name,)


def resize_before(view: GraphView, node: NodeDef, conv: NodeDef) -> NodeDef | None:
    """Return the ResizeBilinear that `node` reads and that can be fused with `conv`, None if it reads something else.

    Raises:
        RefusedError: there is one, but it cannot be fused.
    """
    resize = sole_source(view, node, _RESIZE)
    if resize is None:
        return None
    if attribute(resize, "half_pixel_centers").b:
        raise RefusedError(f"`{resize.name}` has half-pixel centers, which the fused kernel lacks")
    if resize.attr["T"].type != conv.attr["T"].type:
        raise RefusedError(f"`{resize.name}` changes the dtype")
    return resize
