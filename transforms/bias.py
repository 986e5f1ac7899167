"""The node that adds an offset behind a linear op: one that TensorFlow makes part of the op, where that is faster.

TensorFlow fuses BiasAdd (and Add) with a convolution or MatMul in front. Its fused MatMul prepares more than it saves
if the product is small: with kernels of 416 x 256 and 256 x 256 a request of one row took 10% longer than with MatMul
and Add apart. A Sub is not fused.
"""

from typing import TYPE_CHECKING

from tfs.transforms.factors import constant_value
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, node_def

if TYPE_CHECKING:
    import numpy as np

__all__ = ["is_small_product", "put_offset"]

_SMALL_KERNEL = 2**17  # values; at 2**18 the fused op was the faster one for a single row


def is_small_product(view: GraphView, node: NodeDef) -> bool:
    """Return whether a node is a MatMul that is better not fused with what is added to it."""
    kernel = constant_value(view, Tensor.parse(node.input[1])) if node.op == "MatMul" else None
    return kernel is not None and kernel[1].size <= _SMALL_KERNEL


def put_offset(edit: GraphEdit, like: NodeDef, source: Tensor, values: "np.ndarray", data_format: bytes | None) -> None:
    """Let a node that adds `values` [C] to `source` take the place of `like`, with its name, device and dtype.

    A `data_format` of None keeps it from being fused with what computes `source`; the channels are last then.
    """
    apart = data_format is None
    constant = edit.constant(f"{like.name}/offset", -values if apart else values, like.device)
    node = node_def("Sub" if apart else "BiasAdd", like.name, [source, constant], like.device)
    node.attr["T"].CopyFrom(like.attr["T"])
    if data_format is not None:
        node.attr["data_format"].s = data_format
    for key, value in like.attr.items():
        if key.startswith("_"):
            node.attr[key].CopyFrom(value)
    edit.put(node)
