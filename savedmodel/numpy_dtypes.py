"""The numpy counterparts of TensorFlow's dtypes."""

import ml_dtypes
import numpy as np

from tfs.savedmodel.dtypes import dtype_number
from tfs.savedmodel.errors import TfsError

__all__ = ["dtype_of_array", "numpy_dtype"]

_NAMES = (
    *("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bool", "complex64", "complex128"),
)
# By TensorFlow's name; strings are objects of type bytes.
_DTYPES: dict[str, np.dtype[np.generic]] = {
    **{name: np.dtype(name) for name in _NAMES},
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "string": np.dtype(object),
}
_BY_DTYPE = {dtype: name for name, dtype in _DTYPES.items()}


def numpy_dtype(name: str) -> np.dtype[np.generic]:
    """Return the numpy dtype for TensorFlow's name of a dtype; `string` is `object` (elements are bytes).

    Raises:
        TfsError: tensors of this dtype cannot be sent to a server.
    """
    dtype_number(name)  # refuses a name that is none
    return _DTYPES[name]


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
