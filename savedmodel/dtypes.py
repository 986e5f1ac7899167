"""TensorFlow's dtypes: their numbers in protos, their names for people, the size of their values.

Numpy's side of them is in `numpy_dtypes`, so that who only names dtypes need not load numpy.
"""

from tfs.savedmodel.errors import TfsError

__all__ = ["dtype_name", "dtype_number", "dtype_size"]

_REF = 100  # DT_FLOAT_REF is DT_FLOAT + 100: the same values behind a TF 1 reference

# The number in types.proto -> TensorFlow's Python name and the bytes of a value; those of strings differ.
_TYPES: dict[int, tuple[str, int]] = {
    1: ("float32", 4),
    2: ("float64", 8),
    3: ("int32", 4),
    4: ("uint8", 1),
    5: ("int16", 2),
    6: ("int8", 1),
    7: ("string", 0),
    8: ("complex64", 8),
    9: ("int64", 8),
    10: ("bool", 1),
    14: ("bfloat16", 2),
    17: ("uint16", 2),
    18: ("complex128", 16),
    19: ("float16", 2),
    22: ("uint32", 4),
    23: ("uint64", 8),
}
_BY_NAME = {name: (number, size) for number, (name, size) in _TYPES.items()}


def dtype_name(number: int) -> str:
    """Return TensorFlow's name of a `DataType` number, as `float32`; `type 21` for those that numpy cannot hold."""
    plain = number - _REF if number > _REF else number
    return _TYPES[plain][0] if plain in _TYPES else f"type {number}"


def dtype_number(name: str) -> int:
    """Return the `DataType` number for TensorFlow's name of a dtype.

    Raises:
        TfsError: tensors of this dtype cannot be sent to a server.
    """
    return _entry(name)[0]


def dtype_size(name: str) -> int:
    """Return the bytes of one value of a dtype; 0 for strings, which differ.

    Raises:
        TfsError: tensors of this dtype cannot be sent to a server.
    """
    return _entry(name)[1]


def _entry(name: str) -> tuple[int, int]:
    if name not in _BY_NAME:
        raise TfsError(f"tensors of dtype {name} cannot be sent to a server", "use another input or output")
    return _BY_NAME[name]
