"""TensorFlow's dtypes: their numbers in protos, their names for people, their numpy counterparts."""

import ml_dtypes
import numpy as np

from tfs.savedmodel.errors import TfsError

__all__ = ["dtype_name", "dtype_number", "dtype_of_array", "numpy_dtype"]

_REF = 100  # DT_FLOAT_REF is DT_FLOAT + 100: the same values behind a TF 1 reference

# The number in types.proto -> TensorFlow's Python name and the numpy dtype; strings are objects of type bytes.
_TYPES: dict[int, tuple[str, np.dtype[np.generic]]] = {
    1: ("float32", np.dtype(np.float32)),
    2: ("float64", np.dtype(np.float64)),
    3: ("int32", np.dtype(np.int32)),
    4: ("uint8", np.dtype(np.uint8)),
    5: ("int16", np.dtype(np.int16)),
    6: ("int8", np.dtype(np.int8)),
    7: ("string", np.dtype(object)),
    8: ("complex64", np.dtype(np.complex64)),
    9: ("int64", np.dtype(np.int64)),
    10: ("bool", np.dtype(np.bool_)),
    14: ("bfloat16", np.dtype(ml_dtypes.bfloat16)),
    17: ("uint16", np.dtype(np.uint16)),
    18: ("complex128", np.dtype(np.complex128)),
    19: ("float16", np.dtype(np.float16)),
    22: ("uint32", np.dtype(np.uint32)),
    23: ("uint64", np.dtype(np.uint64)),
}
_BY_NAME = {name: (number, dtype) for number, (name, dtype) in _TYPES.items()}
_BY_DTYPE = {dtype: name for name, dtype in _TYPES.values()}


def dtype_name(number: int) -> str:
    """Return TensorFlow's name of a `DataType` number, as `float32`; `type 21` for those that numpy cannot hold."""
    plain = number - _REF if number > _REF else number
    return _TYPES[plain][0] if plain in _TYPES else f"type {number}"


def numpy_dtype(name: str) -> np.dtype[np.generic]:
    """Return the numpy dtype for TensorFlow's name of a dtype; `string` is `object` (elements are bytes).

    Raises:
        TfsError: tensors of this dtype cannot be sent to a server.
    """
    return _entry(name)[1]


def dtype_number(name: str) -> int:
    """Return the `DataType` number for TensorFlow's name of a dtype.

    Raises:
        TfsError: tensors of this dtype cannot be sent to a server.
    """
    return _entry(name)[0]


def dtype_of_array(array: np.ndarray) -> str:
    """Return TensorFlow's name for an array's dtype; arrays of str, bytes and objects are `string`.

    Raises:
        TfsError: TensorFlow has no such dtype.
    """
    if array.dtype.kind in "OSU":
        return "string"
    native = array.dtype.newbyteorder("=")
    if native not in _BY_DTYPE:
        raise TfsError(f"arrays of dtype {array.dtype} have no counterpart in TensorFlow", "convert the array first")
    return _BY_DTYPE[native]


def _entry(name: str) -> tuple[int, np.dtype[np.generic]]:
    if name not in _BY_NAME:
        raise TfsError(f"tensors of dtype {name} cannot be sent to a server", "use another input or output")
    return _BY_NAME[name]
