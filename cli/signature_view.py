"""How signatures look in the output of several commands."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tfs.savedmodel.reading import Signature, TensorInfo

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["SignatureJson", "TensorJson", "readable_size", "shape_text", "signature_json", "signature_table"]

_KIB = 1024


def readable_size(size: int) -> str:
    """Return a number of bytes for people, as `12.3 MiB`."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _KIB or unit == "GiB":
            break
        value /= _KIB
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"


def shape_text(shape: tuple[int | None, ...] | None) -> str:
    """Return a shape for people, as `[?, 28, 28]`; `unknown rank` for None."""
    if shape is None:
        return "unknown rank"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def signature_table(signatures: dict[str, Signature]) -> "Table":
    """Return a table with one row for each input and output of the signatures.

    A method other than predict stands after the signature's name, a default after the shape of its input.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for title in ("signature", "", "alias", "dtype", "shape", "tensor"):
        table.add_column(title, overflow="fold")  # a cut name could not be copied
    for signature in signatures.values():
        for way, tensors in (("in", signature.inputs), ("out", signature.outputs)):
            for alias, info in tensors.items():
                shape = shape_text(info.shape)
                if way == "in" and alias in signature.defaults:
                    shape += f" = {json.dumps(signature.defaults[alias]):.60}"
                table.add_row(*map(escape, (_name(signature), way, alias, info.dtype, shape, _tensor_text(info))))
        table.add_section()
    return table


@dataclass(frozen=True)
class TensorJson:
    """An input or output of a signature; an unknown dimension is null, an unknown rank a null shape.

    Attributes:
        dtype: TensorFlow's name, as `float32`.
        shape: its sizes.
        tensor: the graph's tensor; empty for one of several tensors.
        components: the graph's tensors of a sparse or composite one; empty for others.
    """

    dtype: str
    shape: list[int | None] | None
    tensor: str
    components: list[str]


@dataclass(frozen=True)
class SignatureJson:
    """What can be called.

    Attributes:
        method_name: as `tensorflow/serving/predict`.
        defaults: the value that TensorFlow's own loader takes for an input left out; a server does not.
        inputs: by alias.
        outputs: by alias.
    """

    method_name: str
    defaults: dict[str, Any]
    inputs: dict[str, TensorJson]
    outputs: dict[str, TensorJson]


def signature_json(signature: Signature) -> dict[str, Any]:
    """Return a signature as `SignatureJson` has it."""
    inputs, outputs = (
        {alias: _tensor_json(info) for alias, info in tensors.items()}
        for tensors in (signature.inputs, signature.outputs)
    )
    return asdict(SignatureJson(signature.method_name, signature.defaults, inputs, outputs))


def _name(signature: Signature) -> str:
    method = signature.method_name.rpartition("/")[2]
    return signature.name if method in ("predict", "") else f"{signature.name} ({method})"


def _tensor_text(info: TensorInfo) -> str:
    return info.name or ", ".join(info.components)


def _tensor_json(info: TensorInfo) -> TensorJson:
    shape = None if info.shape is None else list(info.shape)
    return TensorJson(info.dtype, shape, info.name, list(info.components))
