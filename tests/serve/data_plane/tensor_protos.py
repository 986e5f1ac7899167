"""TensorProtos as clients may send them, and reading those that come back."""

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from tfs.savedmodel import protos
from tfs.savedmodel.tensors import array_from_proto

NAMES: dict[int, str] = {
    number: name
    for name, number in protos.load("types_pb2").DataType.items()
    if number < 100 and name not in ("DT_INVALID", "DT_RESOURCE", "DT_VARIANT")
}


@dataclass(frozen=True)
class Kind:
    """How the values of a dtype are sent: the typed field, and the numpy dtype of `tensor_content` (or of its bits)."""

    field: str
    numpy: Any


_KINDS: dict[str, Kind] = {
    "DT_FLOAT": Kind("float_val", np.float32),
    "DT_DOUBLE": Kind("double_val", np.float64),
    "DT_INT32": Kind("int_val", np.int32),
    "DT_UINT8": Kind("int_val", np.uint8),
    "DT_INT16": Kind("int_val", np.int16),
    "DT_INT8": Kind("int_val", np.int8),
    "DT_STRING": Kind("string_val", object),
    "DT_COMPLEX64": Kind("scomplex_val", np.complex64),
    "DT_INT64": Kind("int64_val", np.int64),
    "DT_BOOL": Kind("bool_val", np.bool_),
    "DT_QINT8": Kind("int_val", np.int8),
    "DT_QUINT8": Kind("int_val", np.uint8),
    "DT_QINT32": Kind("int_val", np.int32),
    "DT_BFLOAT16": Kind("half_val", np.uint16),
    "DT_QINT16": Kind("int_val", np.int16),
    "DT_QUINT16": Kind("int_val", np.uint16),
    "DT_UINT16": Kind("int_val", np.uint16),
    "DT_COMPLEX128": Kind("dcomplex_val", np.complex128),
    "DT_HALF": Kind("half_val", np.uint16),
    "DT_UINT32": Kind("uint32_val", np.uint32),
    "DT_UINT64": Kind("uint64_val", np.uint64),
    "DT_INT4": Kind("int_val", np.int8),
    "DT_UINT4": Kind("int_val", np.uint8),
    "DT_INT2": Kind("int_val", np.int8),
    "DT_UINT2": Kind("int_val", np.uint8),
    **{
        name: Kind("float8_val", np.uint8)
        for name in NAMES.values()
        if name.startswith("DT_FLOAT8") or name.startswith("DT_FLOAT4")
    },
}

KINDS: dict[int, Kind] = {number: _KINDS[name] for number, name in NAMES.items()}

# The dtypes that every TensorFlow since 2.15 has and that numpy (with ml_dtypes) can compute with.
COMMON: dict[str, Any] = {
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
    "DT_HALF": np.float16,
    "DT_BFLOAT16": ml_dtypes.bfloat16,
    "DT_INT8": np.int8,
    "DT_INT16": np.int16,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_UINT8": np.uint8,
    "DT_UINT16": np.uint16,
    "DT_UINT32": np.uint32,
    "DT_UINT64": np.uint64,
    "DT_BOOL": np.bool_,
    "DT_STRING": object,
    "DT_COMPLEX64": np.complex64,
    "DT_COMPLEX128": np.complex128,
}

NUMBERS: dict[str, int] = {name: number for number, name in NAMES.items()}


def tensor(dtype: str | int, shape: list[int] | None = None, **fields: Any) -> Any:
    """Return a TensorProto; without `shape` it has no shape message."""
    proto = protos.load("tensor_pb2").TensorProto(dtype=NUMBERS.get(dtype, dtype), **fields)
    if shape is not None:
        proto.tensor_shape.SetInParent()
        for size in shape:
            proto.tensor_shape.dim.add(size=size)
    return proto


def shape_of(proto: Any) -> list[int]:
    return [dim.size for dim in proto.tensor_shape.dim]


def bits(array: np.ndarray) -> np.ndarray:
    """Return an array in which NaNs of equal bits are equal."""
    if array.dtype == object or array.dtype.kind in "iub":
        return array
    return array.view({2: np.uint16, 4: np.uint32, 8: np.uint64, 16: np.uint64}[array.dtype.itemsize])


def elements(proto: Any) -> list[Any]:
    """Return all elements of a complete TensorProto: bytes, or numbers (floats by their bits), in order.

    A TensorProto is complete if it holds every element, in its typed field or in `tensor_content`.
    """
    kind = KINDS[proto.dtype]
    count = int(np.prod(shape_of(proto), dtype=np.int64))
    if kind.numpy is object:
        flat = tensor(proto.dtype, [count], tensor_content=proto.tensor_content, string_val=proto.string_val)
        assert proto.tensor_content or len(proto.string_val) == count
        return list(array_from_proto(flat))
    if proto.tensor_content:
        flat = np.frombuffer(proto.tensor_content, kind.numpy)
    elif kind.field == "float8_val":
        flat = np.frombuffer(proto.float8_val, np.uint8)
    elif kind.field in ("scomplex_val", "dcomplex_val"):
        part = np.float32 if kind.field == "scomplex_val" else np.float64
        flat = np.array(getattr(proto, kind.field), part).view(kind.numpy)
    else:
        values = np.array(getattr(proto, kind.field), np.uint64 if kind.field == "uint64_val" else None)
        flat = values.astype(kind.numpy)
        assert len(flat) == 0 or np.array_equal(flat, values, equal_nan=kind.numpy in (np.float32, np.float64)), (
            "a reply holds no value beyond its dtype"
        )
    assert len(flat) == count
    return list(bits(flat))
