"""JSON values and arrays by the rules of the REST API.

Numbers, true/false, strings; bytes as `{"b64": "..."}`; nested lists for dimensions. NaN and infinities are the bare
tokens NaN, Infinity, -Infinity that Python's json reads and writes.
"""

import base64
import binascii
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.numpy_dtypes import numpy_dtype

__all__ = ["array_from_json", "json_from_array"]

_B64 = "b64"
_MAX_RANK = 64


def array_from_json(value: Any, dtype: str) -> np.ndarray:
    """Return the array that a JSON value means for a tensor of this dtype; a bare value is a scalar.

    Beyond the REST API, float16, bfloat16 and uint16 are taken; integers outside the dtype's range are refused rather
    than cut.

    Raises:
        TfsError: lists of unequal length or depth, a value of another kind or range, a complex dtype.
    """
    wanted = numpy_dtype(dtype)
    shape = _shape(value)
    if len(shape) > _MAX_RANK:
        raise TfsError(f"lists are nested {len(shape)} deep, numpy holds {_MAX_RANK} dimensions")
    flat: list[Any] = []
    _flatten(value, shape, 0, flat)
    if dtype == "string":
        strings = np.empty(len(flat), dtype=object)
        strings[:] = [_bytes(item) for item in flat]
        return strings.reshape(shape)
    if wanted.kind == "c":
        raise TfsError(f"JSON has no {dtype} values", "give an .npz file and ask over gRPC")
    for item in flat:
        _check_kind(item, dtype, wanted)
    try:
        with np.errstate(over="ignore"):  # beyond float32's range is infinity, as the server has it
            return np.array(flat, dtype=wanted).reshape(shape)
    except OverflowError as error:
        raise TfsError(f"a value is out of the range of {dtype}: {error}") from error


def json_from_array(array: np.ndarray) -> Any:
    """Return an array as nested lists of JSON values, a scalar as a bare value.

    Floats have the shortest digits that give the same value back in their own width. Bytes that are UTF-8 become a
    string, others `{"b64": ...}`; a complex number becomes `[real, imaginary]`.
    """
    if array.dtype.kind == "O":
        return _map_nested(array.tolist(), _text)
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], axis=-1).astype(np.float64).tolist()
    if array.dtype.kind in "iub" or array.dtype == np.float64:
        return array.tolist()
    # float32 0.1 is 0.10000000149011612 as a double; by way of its own digits it stays 0.1
    return array.astype(np.float32).astype(str).astype(np.float64).tolist()


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape as the first elements tell it; `[]` is a dimension of 0 and ends it."""
    sizes = []
    while isinstance(value, list):
        sizes.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(sizes)


def _flatten(value: Any, shape: tuple[int, ...], level: int, flat: list[Any]) -> None:
    if level == len(shape):
        if isinstance(value, list):
            raise TfsError(f"a list stands at level {level} where others have a value")
        flat.append(value)
        return
    if not isinstance(value, list):
        raise TfsError(f"`{value!r:.60}` stands at level {level} where others have a list")
    if len(value) != shape[level]:
        raise TfsError(f"a list at level {level} has {len(value)} elements, others have {shape[level]}")
    for item in value:
        _flatten(item, shape, level + 1, flat)


def _check_kind(item: Any, dtype: str, wanted: np.dtype[np.generic]) -> None:
    if wanted.kind == "b":
        fits = isinstance(item, bool)
    elif wanted.kind in "iu":
        fits = isinstance(item, int) and not isinstance(item, bool)
    else:
        fits = isinstance(item, int | float) and not isinstance(item, bool)
    if not fits:
        raise TfsError(f"`{item!r:.60}` is no {dtype}")
    if wanted.kind in "iu":
        limits = np.iinfo(wanted.name)
        if not limits.min <= item <= limits.max:
            raise TfsError(f"{item} is out of the range of {dtype}")


def _bytes(item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, dict) and list(item) == [_B64] and isinstance(item[_B64], str):
        text = item[_B64]
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except binascii.Error as error:
            raise TfsError(f"`{text:.60}` is no base64: {error}") from error
    raise TfsError(f"`{item!r:.60}` is no string", 'strings are "text" or {"b64": "..."}')


def _text(item: Any) -> Any:
    data = item.encode() if isinstance(item, str) else item
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {_B64: base64.b64encode(data).decode()}


def _map_nested(value: Any, function: Any) -> Any:
    return [_map_nested(item, function) for item in value] if isinstance(value, list) else function(value)
