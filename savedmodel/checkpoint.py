"""Which values a checkpoint holds, from its index alone (`variables.index`); the values are not read.

The index is a LevelDB table: blocks of (key, value) pairs, keys shortened by what they share with the one before, an
index block that names the others, and a footer that names the index block. Key "" is a BundleHeaderProto, the others
are BundleEntryProtos.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
from google.protobuf.message import DecodeError

from tfs.savedmodel.dtypes import dtype_name, dtype_size
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import tensor_bundle_pb2

__all__ = ["CheckpointEntry", "read_index"]

_FOOTER_SIZE = 48  # two handles, padded, and the magic number
_MAGIC = 0xDB4775248B80FB57
_TRAILER = struct.Struct("<BI")  # compression (TensorFlow writes 0, none) and masked CRC of block and this byte
_MASK_DELTA = 0xA282EAD8
_MAX_SHIFT = 63


@dataclass(frozen=True)
class CheckpointEntry:
    """One tensor of a checkpoint.

    Attributes:
        key: its name there, as `layers/0/_kernel/.ATTRIBUTES/VARIABLE_VALUE`, or the variable's name (TF 1).
        dtype: TensorFlow's name.
        shape: its sizes.
        size: bytes of its values.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    size: int


def read_index(file: Path) -> list[CheckpointEntry]:
    """Return the tensors of a checkpoint in the order of their keys; a tensor in slices is one entry.

    Raises:
        TfsError: the file cannot be read, is truncated or damaged.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise TfsError(f"`{file}` cannot be read: {error.strerror}") from error
    try:
        pairs = list(_pairs(data))
        protos = [(key, tensor_bundle_pb2.BundleEntryProto.FromString(value)) for key, value in pairs if key]
        # A slice has a binary key that starts with a zero byte; the whole tensor has an entry of its own.
        return [_entry(key.decode(), proto) for key, proto in protos if key[0]]
    except (_DamagedError, DecodeError, struct.error, IndexError, UnicodeDecodeError) as error:
        raise TfsError(f"`{file}` is truncated or no checkpoint index: {error}", "export the model again") from error


class _DamagedError(Exception):
    pass


def _entry(key: str, proto: Any) -> CheckpointEntry:
    shape = tuple(dim.size for dim in proto.shape.dim)
    dtype = dtype_name(proto.dtype)
    size = proto.size
    if proto.slices and dtype != "string":
        size = math.prod(shape) * dtype_size(dtype)
    return CheckpointEntry(key, dtype, shape, size)


def _pairs(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(data) < _FOOTER_SIZE or struct.unpack_from("<Q", data, len(data) - 8)[0] != _MAGIC:
        raise _DamagedError("the footer is missing")
    footer = data[-_FOOTER_SIZE:]
    position = 0
    for _ in range(2):  # the handle of the meta index, which is not used
        _, position = _varint(footer, position)
    for _, handle in _block(data, footer[position:]):
        yield from _block(data, handle)


def _block(data: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    start, position = _varint(handle, 0)
    size, _ = _varint(handle, position)
    compression, masked = _TRAILER.unpack_from(data, start + size)
    if compression:
        raise _DamagedError("it is compressed, which TensorFlow's checkpoints are not")
    crc = google_crc32c.value(data[start : start + size + 1])
    if masked != (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF:
        raise _DamagedError("a block does not match its checksum")
    block = data[start : start + size]
    end = size - 4 * (1 + struct.unpack_from("<I", block, size - 4)[0])
    key, position = b"", 0
    while position < end:
        shared, position = _varint(block, position)
        added, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + added]
        position += added
        yield key, block[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a number of seven bits to a byte, and where the next thing starts."""
    value = shift = 0
    while shift <= _MAX_SHIFT:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise _DamagedError("a number has no end")
