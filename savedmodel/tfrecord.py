"""TFRecord files: records framed by their length and two masked CRC-32C sums.

A record is `length` (uint64), masked CRC of these 8 bytes (uint32), the data, masked CRC of the data (uint32), all
little-endian. The mask is `rotate_right(crc, 15) + 0xa282ead8` modulo 2^32.
"""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from tfs.savedmodel.errors import TfsError

__all__ = ["TruncatedError", "read_tfrecord", "write_tfrecord"]

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8
_UINT32 = 0xFFFFFFFF


class TruncatedError(TfsError):
    """A file ends within a record, as one that is still being written; the records before that are sound."""


def _masked_crc(data: bytes) -> int:
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & _UINT32


def write_tfrecord(stream: BinaryIO, records: Iterable[bytes]) -> None:
    """Append records to a binary stream."""
    for data in records:
        length = struct.pack("<Q", len(data))
        stream.write(_HEADER.pack(len(data), _masked_crc(length)))
        stream.write(data)
        stream.write(_FOOTER.pack(_masked_crc(data)))


def read_tfrecord(file: Path) -> Iterator[bytes]:
    """Yield the records of a file in order; an empty file has none.

    Raises:
        TruncatedError: the file ends within a record; those before it have been given.
        TfsError: a checksum is wrong; the records before it have been given.
    """
    left = file.stat().st_size
    with file.open("rb") as stream:
        number = 0
        while left:
            header = stream.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise TruncatedError(f"`{file}` ends within record {number}")
            length, length_crc = _HEADER.unpack(header)
            if length_crc != _masked_crc(header[:8]):
                raise TfsError(f"`{file}` is no TFRecord file or damaged at record {number}")
            left -= _HEADER.size + length + _FOOTER.size
            # Compared before reading: a length from a damaged file must not ask for the memory it names.
            if left < 0:
                raise TruncatedError(f"`{file}` ends within record {number}")
            data = stream.read(length)
            if _FOOTER.unpack(stream.read(_FOOTER.size))[0] != _masked_crc(data):
                raise TfsError(f"`{file}` is damaged: record {number} does not match its checksum")
            yield data
            number += 1
