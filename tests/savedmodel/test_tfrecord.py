import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.tfrecord import TruncatedError, read_tfrecord, write_tfrecord

_RECORDS = [b"first", b"", b"\x00" * 1000]


def _written(records):
    stream = io.BytesIO()
    write_tfrecord(stream, records)
    return stream.getvalue()


def test_tensorflow_reads_what_we_write(tmp_path):
    import tensorflow as tf

    (tmp_path / "f").write_bytes(_written(_RECORDS))
    dataset = tf.data.TFRecordDataset(str(tmp_path / "f"))
    assert [record.numpy() for record in dataset] == _RECORDS


def test_we_read_what_tensorflow_writes(tmp_path):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(tmp_path / "f")) as writer:
        for record in _RECORDS:
            writer.write(record)
    assert list(read_tfrecord(tmp_path / "f")) == _RECORDS


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_records_survive_the_round_trip(tmp_path_factory, records):
    file = tmp_path_factory.mktemp("records") / "f"
    file.write_bytes(_written(records))
    assert list(read_tfrecord(file)) == records


@given(st.integers(min_value=1), st.integers(min_value=1, max_value=255))
def test_each_flipped_byte_is_found(tmp_path_factory, position, flip):
    data = bytearray(_written(_RECORDS))
    data[position % len(data)] ^= flip
    file = tmp_path_factory.mktemp("flipped") / "f"
    file.write_bytes(data)
    with pytest.raises(TfsError):
        list(read_tfrecord(file))


@pytest.mark.parametrize("left", [1, 11, 12, 500, 1015])
def test_a_cut_file_is_refused_after_its_whole_records(tmp_path, left):
    whole = _written(_RECORDS[:2])
    (tmp_path / "f").write_bytes(_written(_RECORDS)[: len(whole) + left])
    records = read_tfrecord(tmp_path / "f")
    assert [next(records), next(records)] == _RECORDS[:2]
    with pytest.raises(TruncatedError, match="ends within record 2"):
        next(records)


def test_a_length_beyond_the_file_asks_for_no_memory(tmp_path):
    from tfs.savedmodel import tfrecord

    length = struct.pack("<Q", 1 << 60)
    (tmp_path / "f").write_bytes(length + struct.pack("<I", tfrecord._masked_crc(length)) + b"data")
    with pytest.raises(TfsError, match="ends within record 0"):
        list(read_tfrecord(tmp_path / "f"))
