"""Letting a convolution pad by itself."""

import numpy as np

from tfs.transforms.factors import RefusedError, constant_value
from tfs.transforms.fusing import sole_source
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, attribute
from tfs.transforms.offering import rewrite_each

__all__ = ["PadConvolutions"]

_PADS = frozenset({"Pad", "PadV2"})
_NHWC_RANK = 4


@transform
class PadConvolutions(GraphPass):
    """`Conv2D(Pad(x, pads), w)` with VALID padding -> `Conv2D(x, w)` with `EXPLICIT` padding.

    `pads` is a constant that pads height and width with zeros (PadV2: its value is 0). Keras's ZeroPadding2D is such a
    pad. Left alone: NCHW, a convolution that pads by itself, a pad that something else reads. No copy of the input is
    made any more.
    """

    name = "pad_convolutions"
    summary = "let convolutions pad by themselves instead of reading a padded copy"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with pads taken into convolutions."""
        return rewrite_each(view, "Conv2D", _fuse, "pads taken into convolutions")


def _fuse(view: GraphView, edit: GraphEdit, conv: NodeDef) -> bool:
    pad = sole_source(view, conv, _PADS)
    if pad is None:
        return False
    if conv.attr["padding"].s != b"VALID" or attribute(conv, "data_format").s not in (b"", b"NHWC"):
        raise RefusedError("it pads by itself, or its data format is not NHWC")
    if pad.op == "PadV2":
        value = constant_value(view, Tensor.parse(pad.input[2]))
        if value is None or value[1].item() != 0:
            raise RefusedError(f"`{pad.name}` pads with something else than 0")
    pads = constant_value(view, Tensor.parse(pad.input[1]))
    if pads is None:
        raise RefusedError(f"the sizes of `{pad.name}` are no constant")
    sizes = pads[1]
    if sizes.shape != (_NHWC_RANK, 2) or np.delete(sizes, [1, 2], axis=0).any():
        raise RefusedError(f"`{pad.name}` pads other axes than height and width")
    fused = edit.copy(conv.name)
    fused.input[0] = pad.input[0]
    fused.attr["padding"].s = b"EXPLICIT"
    fused.attr["explicit_paddings"].list.i[:] = [int(size) for size in sizes.reshape(-1)]
    edit.put(fused)
    edit.wait_for(conv.name, view.control_inputs(pad.name))
    edit.redirect_control(pad.name, [conv.name])
    edit.drop(pad.name)
    return True
