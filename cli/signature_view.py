"""How signatures look in the output of several commands."""

from typing import TYPE_CHECKING, Any

from tfs.savedmodel.reading import Signature, TensorInfo

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["readable_size", "shape_text", "signature_json", "signature_table"]

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
    """Return a table with one row for each input and output of the signatures."""
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for title in ("signature", "", "alias", "dtype", "shape", "tensor"):
        table.add_column(title, overflow="fold")  # a cut name could not be copied
    for name, signature in signatures.items():
        for way, tensors in (("in", signature.inputs), ("out", signature.outputs)):
            for alias, info in tensors.items():
                table.add_row(
                    escape(name), way, escape(alias), info.dtype, shape_text(info.shape), escape(_tensor_text(info))
                )
        table.add_section()
    return table


def signature_json(signature: Signature) -> dict[str, Any]:
    """Return a signature with stable keys; an unknown dimension is null, an unknown rank a null shape."""
    return {
        "method_name": signature.method_name,
        "inputs": {alias: _tensor_json(info) for alias, info in signature.inputs.items()},
        "outputs": {alias: _tensor_json(info) for alias, info in signature.outputs.items()},
    }


def _tensor_text(info: TensorInfo) -> str:
    return info.name or ", ".join(info.components)


def _tensor_json(info: TensorInfo) -> dict[str, Any]:
    shape = None if info.shape is None else list(info.shape)
    result: dict[str, Any] = {"dtype": info.dtype, "shape": shape, "tensor": info.name}
    return {**result, "components": list(info.components)} if info.components else result
