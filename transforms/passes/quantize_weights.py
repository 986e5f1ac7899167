"""Storing float weights in 8 bits each."""

from tfs.transforms.float_constants import large_float_constants
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, Skip, transform
from tfs.transforms.graph_view import GraphView, Tensor, node_def
from tfs.transforms.quantization import DT_QUINT8, quantized, quint8_constant

__all__ = ["QuantizeWeights"]


@transform
class QuantizeWeights(GraphPass):
    """`Const` (float32, at least `minimum_size` elements) -> `Dequantize(Const quint8, min, max)` of the same name.

    The range is that of the values and 0, in 255 equal steps; 0 stays exact (see `quantization`). Every pass that folds
    constants has to come first: it would compute the Dequantize. TensorFlow does so when it loads the model, which
    takes no less memory then, but a quarter of the bytes on disk.
    """

    name = "quantize_weights"
    summary = "store float weights in 8 bits each"
    arguments = (Argument("minimum_size", int),)
    rounding = 0.05

    def __init__(self, minimum_size: int = 1024) -> None:
        self._minimum_size = minimum_size

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with its large float constants quantized."""
        import numpy as np

        edit = GraphEdit(view)
        skipped: list[Skip] = []
        count = 0
        for node, values in large_float_constants(view, self._minimum_size):
            if not np.isfinite(values).all():
                skipped.append(Skip(node.name, "it holds values that are not finite"))
                continue
            codes, low, high = quantized(values)
            inputs = [
                edit.put(quint8_constant(edit.fresh_name(f"{node.name}_quantized_const"), codes, node.device)),
                edit.constant(f"{node.name}_quantized_min", np.array(low, np.float32), node.device),
                edit.constant(f"{node.name}_quantized_max", np.array(high, np.float32), node.device),
            ]
            waits = [Tensor.parse(text) for text in node.input]
            dequantize = node_def("Dequantize", node.name, [*inputs, *waits], node.device, mode=b"MIN_FIRST")
            dequantize.attr["T"].type = DT_QUINT8
            edit.put(dequantize)
            count += 1
        if not count:
            return PassResult(view, {}, tuple(skipped))
        return PassResult(edit.view(), {"weights quantized": count}, tuple(skipped))
