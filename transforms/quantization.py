"""Numbers in 8 bits, as TensorFlow's mode MIN_FIRST has them.

    step = (high - low) / 255         code = round(v / step) - round(low / step)

0 is in the range and stays exact, since it is a whole number of steps away from `low`.
"""

from typing import TYPE_CHECKING

from tfs.transforms.graph_edit import constant_node
from tfs.transforms.graph_view import NodeDef

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DT_QUINT8", "quantized", "quint8_constant"]

DT_QUINT8 = 12
_STEPS = 255
# A smaller step has no inverse in float32.
_SMALLEST_STEP = 2.0**-126


def quantized(values: "np.ndarray") -> "tuple[np.ndarray, float, float]":
    """Return the codes (uint8) of float32 values, and the range [low, high] that 0 and 255 stand for."""
    import numpy as np

    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    high = high if high > low else low + 1.0
    high = max(high, low + _STEPS * _SMALLEST_STEP)
    step = (high - low) / _STEPS
    # In place and in float32: large weights need no further copies.
    codes = values * np.float32(1 / step)
    codes = np.rint(codes, out=codes)
    codes -= np.float32(np.rint(low / step))
    return codes.clip(0, _STEPS, out=codes).astype(np.uint8), low, high


def quint8_constant(name: str, codes: "np.ndarray", device: str) -> NodeDef:
    """Return a Const node that holds codes as quint8."""
    node = constant_node(name, codes, device)
    node.attr["dtype"].type = DT_QUINT8
    node.attr["value"].tensor.dtype = DT_QUINT8
    return node
