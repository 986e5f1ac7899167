"""Storing float weights in 16 bits each."""

from tfs.transforms.float_constants import DT_FLOAT, large_float_constants
from tfs.transforms.graph_edit import GraphEdit, constant_node
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, Skip, transform
from tfs.transforms.graph_view import GraphView, Tensor, node_def

__all__ = ["Float16Weights"]

_DT_HALF = 19


@transform
class Float16Weights(GraphPass):
    """`Const` (float32, at least `minimum_size` elements) -> `Cast(Const float16)` of the same name.

    Each value keeps 11 bits of its mantissa; the model goes on to compute in float32. Constants with values beyond
    65504, which float16 does not have, stay. As with `quantize_weights`, passes that fold constants have to come first,
    and TensorFlow makes float32 of it when it loads the model: half of the bytes on disk, as much memory.
    """

    name = "float16_weights"
    summary = "store float weights in 16 bits each"
    arguments = (Argument("minimum_size", int),)
    rounding = 0.01

    def __init__(self, minimum_size: int = 1024) -> None:
        self._minimum_size = minimum_size

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with its large float constants in half precision."""
        import numpy as np

        edit = GraphEdit(view)
        skipped: list[Skip] = []
        count = 0
        for node, values in large_float_constants(view, self._minimum_size):
            if np.abs(values).max() > np.finfo(np.float16).max or np.isnan(values).any():
                skipped.append(Skip(node.name, "it holds values that float16 does not have"))
                continue
            name = edit.fresh_name(f"{node.name}_float16")
            inputs = [edit.put(constant_node(name, values.astype(np.float16), node.device))]
            cast = node_def("Cast", node.name, [*inputs, *map(Tensor.parse, node.input)], node.device)
            cast.attr["SrcT"].type = _DT_HALF
            cast.attr["DstT"].type = DT_FLOAT
            edit.put(cast)
            count += 1
        if not count:
            return PassResult(view, {}, tuple(skipped))
        return PassResult(edit.view(), {"weights halved": count}, tuple(skipped))
