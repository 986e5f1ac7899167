"""Lists of transforms that have a name; it may stand wherever a transform may: `serving quantize_weights`."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DEFAULT_PRESET", "PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """A named list.

    Attributes:
        summary: what it is for, in one line.
        transforms: the transform string; empty for no transform at all.
    """

    summary: str
    transforms: str


_VALUE_PRESERVING = "remove_nodes(op=Identity, op=IdentityN, op=StopGradient, op=PreventGradient, op=NoOp)"

_SERVING = f"""
    strip_unused_nodes
    remove_attribute(attribute_name=_class)
    remove_nodes(op=CheckNumerics)
    fold_constants(ignore_errors=true)
    {_VALUE_PRESERVING}
    fold_old_batch_norms
    fold_batch_norms
    fold_constants(ignore_errors=true)
    {_VALUE_PRESERVING}
    merge_duplicate_nodes
    strip_unused_nodes
"""

DEFAULT_PRESET = "serving"

PRESETS: Mapping[str, Preset] = {
    "serving": Preset("batch norms and constants folded, training leftovers dropped: always safe", _SERVING),
    "size": Preset("serving, and float weights stored in 8 bit", f"{_SERVING} quantize_weights"),
    "speed": Preset(
        "serving, and paddings and dilated convolutions fused",
        f"{_SERVING} flatten_atrous_conv pad_convolutions strip_unused_nodes",
    ),
    "none": Preset("nothing but inlined functions and frozen variables", ""),
    "fuse_convolutions": Preset(
        "the three fusions of resizing and padding with convolutions",
        "fuse_resize_pad_and_conv fuse_resize_and_conv fuse_pad_and_conv",
    ),
}
