"""Turning a convolution between SpaceToBatchND and BatchToSpaceND into one with dilations."""

import numpy as np

from tfs.transforms.factors import RefusedError, constant_value
from tfs.transforms.fusing import copy_attributes, sole_source
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, attribute, node_def
from tfs.transforms.offering import rewrite_each

__all__ = ["FlattenAtrousConv"]

_CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative"})
_SPREADING = frozenset({"SpaceToBatchND"})


@transform
class FlattenAtrousConv(GraphPass):
    """`BatchToSpaceND(conv(SpaceToBatchND(x, block, pads), w), block, crops)` -> one convolution of the outer name.

    Conv2D gets `dilations=block`; DepthwiseConv2dNative, whose CPU kernel has no dilations, a kernel with zeros
    between its values, `(k-1)*block+1` wide. The padding is what remains of pads minus crops: `VALID` if nothing,
    `SAME` if that is what SAME means, else `EXPLICIT` (Conv2D) or left alone. Left alone too: strides, NCHW, an inner
    padding other than VALID, pads or crops that are no constants, crops beyond the pads. fold_constants comes first.
    """

    name = "flatten_atrous_conv"
    summary = "turn a convolution between SpaceToBatchND and BatchToSpaceND into one with dilations"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with dilated convolutions flattened."""
        return rewrite_each(view, "BatchToSpaceND", _flatten, "dilated convolutions flattened")


def _flatten(view: GraphView, edit: GraphEdit, outer: NodeDef) -> bool:
    conv = sole_source(view, outer, _CONVOLUTIONS)
    spread = None if conv is None else sole_source(view, conv, _SPREADING)
    if conv is None or spread is None:
        return False
    kernel = constant_value(view, Tensor.parse(conv.input[1]))
    if kernel is None:
        raise RefusedError(f"the kernel of `{conv.name}` is no constant")
    _require_plain(conv)
    block, pads = _integers(view, spread, 1), _integers(view, spread, 2)
    if not np.array_equal(block, _integers(view, outer, 1)):
        raise RefusedError(f"`{spread.name}` has other blocks")
    left = pads - _integers(view, outer, 2)
    if (left < 0).any():
        raise RefusedError("it crops more than was padded")
    block = np.concatenate([block, np.ones(2 - block.size, block.dtype)])
    left = np.concatenate([left, np.zeros((2 - len(left), 2), left.dtype)])

    flat = node_def(conv.op, outer.name, [Tensor.parse(spread.input[0]), Tensor.parse(conv.input[1])], conv.device)
    copy_attributes(flat, conv, *conv.attr)
    _set_padding(flat, left, (np.array(kernel[1].shape[:2]) - 1) * block)
    if conv.op == "Conv2D":
        flat.attr["dilations"].list.i[:] = [1, *(int(size) for size in block), 1]
    else:
        spaced = edit.constant(f"{kernel[0]}/dilated", _spaced(kernel[1], block), conv.device)
        flat.input[1] = str(spaced)
    edit.put(flat)
    waits = [name for node in (spread, conv, outer) for name in view.control_inputs(node.name)]
    edit.wait_for(flat.name, dict.fromkeys(waits))
    for node in (spread, conv):
        edit.redirect_control(node.name, [flat.name])
        edit.drop(node.name)
    return True


def _require_plain(conv: NodeDef) -> None:
    if conv.attr["padding"].s != b"VALID":
        raise RefusedError(f"`{conv.name}` pads by itself")
    if any(stride != 1 for stride in conv.attr["strides"].list.i):
        raise RefusedError(f"`{conv.name}` has strides")
    if any(dilation != 1 for dilation in attribute(conv, "dilations").list.i):
        raise RefusedError(f"`{conv.name}` has dilations already")
    if attribute(conv, "data_format").s not in (b"", b"NHWC"):
        raise RefusedError(f"the data format of `{conv.name}` is not NHWC")


def _integers(view: GraphView, node: NodeDef, index: int) -> np.ndarray:
    constant = constant_value(view, Tensor.parse(node.input[index]))
    if constant is None:
        raise RefusedError(f"input {index} of `{node.name}` is no constant: it depends on the size of the input")
    return constant[1]


def _set_padding(conv: NodeDef, left: np.ndarray, reach: np.ndarray) -> None:
    """Set the padding to `left` [2, 2], before and after; a window covers `reach` [2] besides one element."""
    same = np.stack([reach // 2, reach - reach // 2], axis=1)
    if not left.any():
        conv.attr["padding"].s = b"VALID"
    elif np.array_equal(left, same):
        conv.attr["padding"].s = b"SAME"
    elif conv.op == "Conv2D":
        conv.attr["padding"].s = b"EXPLICIT"
        conv.attr["explicit_paddings"].list.i[:] = [0, 0, *(int(size) for size in left.reshape(-1)), 0, 0]
    else:
        raise RefusedError("its padding is neither VALID nor SAME, which a depthwise convolution takes alone")


def _spaced(kernel: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return the kernel with zeros between its rows and columns."""
    size = (np.array(kernel.shape[:2]) - 1) * block + 1
    spaced = np.zeros((*size, *kernel.shape[2:]), kernel.dtype)
    spaced[:: block[0], :: block[1]] = kernel
    return spaced
