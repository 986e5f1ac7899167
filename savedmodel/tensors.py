"""numpy arrays and TensorProto, without TensorFlow.

A string tensor is an array of dtype object whose elements are `bytes`. Reading follows TensorFlow: `tensor_content`
wins over the typed fields, too few values repeat the last one, none at all are zeros, a surplus is dropped.
"""

import math
from typing import Any

import numpy as np

from tfs.savedmodel.dtypes import dtype_name, dtype_number
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.numpy_dtypes import dtype_of_array, numpy_dtype
from tfs.savedmodel.protos import tensor_pb2

__all__ = ["array_from_proto", "proto_from_array", "string_array"]

# dtypes whose values stand in a typed field that is not named after them
_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int8": "int_val",
    "uint8": "int_val",
    "int16": "int_val",
    "uint16": "int_val",
    "int32": "int_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
    "string": "string_val",
    "float16": "half_val",
    "bfloat16": "half_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
}


def string_array(values: np.ndarray) -> np.ndarray:
    """Return an array of str, bytes or objects as one of dtype object that holds bytes; str becomes UTF-8.

    Raises:
        TfsError: an element is neither str nor bytes.
    """
    result = np.empty(values.shape, dtype=object)
    for index, value in np.ndenumerate(values):
        if isinstance(value, str):
            result[index] = value.encode()
        elif isinstance(value, bytes):
            result[index] = value
        else:
            raise TfsError(f"`{value!r:.60}` in a string tensor is neither text nor bytes")
    return result


def proto_from_array(array: np.ndarray) -> Any:
    """Return the TensorProto with the array's dtype, shape and values (`tensor_content`; strings in `string_val`).

    Raises:
        TfsError: TensorFlow has no such dtype, or an object array holds something else than text and bytes.
    """
    array = np.asarray(array)
    name = dtype_of_array(array)
    proto = tensor_pb2.TensorProto(dtype=dtype_number(name))
    proto.tensor_shape.SetInParent()  # a scalar has an empty shape, not none
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if name == "string":
        proto.string_val.extend(string_array(array).ravel().tolist())
    else:
        proto.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return proto


def array_from_proto(proto: Any) -> np.ndarray:
    """Return the values of a TensorProto as an array of its dtype and shape (writable, own memory).

    Raises:
        TfsError: the dtype is none that a server sends, a dimension is negative, or `tensor_content` does not have the
            length that the shape asks for.
    """
    name = dtype_name(proto.dtype)
    dtype = numpy_dtype(name)
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if any(size < 0 for size in shape):
        raise TfsError(f"a TensorProto of dtype {name} has the shape {list(shape)} with an unknown dimension")
    count = math.prod(shape)
    if proto.tensor_content and name != "string":
        wanted = count * dtype.itemsize
        if len(proto.tensor_content) != wanted:
            raise TfsError(f"tensor_content has {len(proto.tensor_content)} bytes, shape {list(shape)} needs {wanted}")
        flat = np.frombuffer(proto.tensor_content, dtype=dtype.newbyteorder("<")).astype(dtype)
    elif proto.tensor_content:
        flat = _strings_of_content(proto.tensor_content, count)
    else:
        flat = _fill(_typed_values(proto, name, dtype), count)
    return flat.reshape(shape)


def _typed_values(proto: Any, name: str, dtype: np.dtype[np.generic]) -> np.ndarray:
    values = getattr(proto, _FIELDS[name])
    if name == "string":
        flat = np.empty(len(values), dtype=object)
        flat[:] = list(values)
        return flat
    if name in ("float16", "bfloat16"):
        return np.array(values, dtype=np.int64).astype(np.uint16).view(dtype)
    if name in ("complex64", "complex128"):
        part = np.float32 if name == "complex64" else np.float64
        return np.array(values[: len(values) // 2 * 2], dtype=part).view(dtype)
    if _FIELDS[name] == "int_val":
        return np.array(values, dtype=np.int64).astype(dtype)  # cut to width, as TensorFlow does
    return np.array(values, dtype=dtype)


def _fill(values: np.ndarray, count: int) -> np.ndarray:
    if len(values) >= count:
        return values[:count]
    if not len(values):
        return np.full(count, b"", dtype=object) if values.dtype == object else np.zeros(count, dtype=values.dtype)
    missing = np.full(count - len(values), values[-1], dtype=values.dtype)
    return np.concatenate([values, missing])


def _strings_of_content(content: bytes, count: int) -> np.ndarray:
    """Read string `tensor_content`: the lengths as varints, then all bytes."""
    damaged = TfsError(f"tensor_content does not hold {count} strings")
    lengths, position = [], 0
    for _ in range(count):
        length = shift = 0
        while True:
            if position >= len(content) or shift > 63:
                raise damaged
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise damaged
    flat = np.empty(count, dtype=object)
    for index, length in enumerate(lengths):
        flat[index] = content[position : position + length]
        position += length
    return flat
