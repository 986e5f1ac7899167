import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tfs.savedmodel.dtypes import dtype_name
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import tensor_pb2
from tfs.savedmodel.tensors import array_from_proto, proto_from_array

_DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16", ml_dtypes.bfloat16]
_SHAPES = [(), (0,), (3,), (2, 2), (2, 0, 3)]


def _example(dtype, shape):
    values = np.random.default_rng(5).integers(-100, 100, size=shape)
    return np.asarray(values).astype(dtype)


def _same(left, right):
    assert left.dtype == right.dtype
    assert left.shape == right.shape
    assert left.tolist() == right.tolist()


@pytest.mark.parametrize("shape", _SHAPES, ids=str)
@pytest.mark.parametrize("dtype", _DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_tensorflow_reads_what_we_write_and_we_read_what_it_writes(dtype, shape):
    import tensorflow as tf

    array = _example(dtype, shape)
    _same(tf.make_ndarray(proto_from_array(array)), array)
    _same(array_from_proto(tf.make_tensor_proto(array)), array)


def test_strings_keep_their_bytes_in_both_directions():
    import tensorflow as tf

    array = np.array([["a", "stra\u00dfe"], [b"\xff\x00", b""]], dtype=object)
    proto = proto_from_array(array)
    decoded = tf.make_ndarray(proto)
    assert decoded.tolist() == [[b"a", "stra\u00dfe".encode()], [b"\xff\x00", b""]]
    _same(array_from_proto(proto), decoded)


@given(npst.arrays(dtype=st.sampled_from([np.dtype(d) for d in _DTYPES[:-1]]), shape=npst.array_shapes(min_dims=0)))
def test_any_array_survives_the_round_trip_bit_by_bit(array):
    back = array_from_proto(proto_from_array(array))
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


@given(npst.arrays(dtype=object, shape=npst.array_shapes(min_dims=0), elements=st.binary(max_size=300)))
def test_string_tensor_content_is_lengths_then_bytes(array):
    lengths, data = b"", b"".join(array.ravel())
    for value in array.ravel():
        size = len(value)
        while size > 127:
            lengths += bytes([size & 127 | 128])
            size >>= 7
        lengths += bytes([size])
    proto = proto_from_array(array)
    proto.ClearField("string_val")
    proto.tensor_content = lengths + data
    _same(array_from_proto(proto), array)


def _proto(dtype, sizes, **values):
    proto = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


_TYPED = [
    _proto(1, [3], float_val=[1.5, 2, 5]),
    _proto(2, [3], double_val=[1.5, 2, 5]),
    *(_proto(number, [2], int_val=[7, 44]) for number in (3, 4, 5, 6, 17)),
    _proto(7, [2], string_val=[b"a", b"\xff"]),
    _proto(8, [2], scomplex_val=[1, 2, 3, 4]),
    _proto(18, [2], dcomplex_val=[1, 2, 3, 4]),
    _proto(9, [2], int64_val=[-(2**60), 1]),
    _proto(22, [2], uint32_val=[2**32 - 1, 1]),
    _proto(23, [2], uint64_val=[2**64 - 1, 1]),
    _proto(10, [2], bool_val=[True, False]),
    _proto(14, [2], half_val=[0x3F80, 0xC000]),
    _proto(19, [2], half_val=[0x3C00, 0xC000]),
]
_INCOMPLETE = {
    "last repeats": _proto(1, [3], float_val=[2, 5]),
    "last pair repeats, odd one dropped": _proto(8, [3], scomplex_val=[1, 2, 3, 4, 9]),
    "zeros": _proto(3, [2]),
    "empty strings": _proto(7, [2]),
    "surplus": _proto(10, [2], bool_val=[True, False, True]),
    "wrong field": _proto(1, [2], int_val=[7, 7]),
    "cut to width": _proto(6, [1], int_val=[300]),
    "scalar": _proto(1, [], float_val=[4]),
    "no shape": tensor_pb2.TensorProto(dtype=3, int_val=[6]),
}


@pytest.mark.parametrize("proto", _TYPED, ids=lambda proto: dtype_name(proto.dtype))
def test_typed_fields_are_read_as_tensorflow_reads_them(proto):
    import tensorflow as tf

    _same(array_from_proto(proto), tf.io.parse_tensor(proto.SerializeToString(), proto.dtype).numpy())


@pytest.mark.parametrize("proto", _INCOMPLETE.values(), ids=_INCOMPLETE)
def test_incomplete_protos_mean_what_they_mean_to_tensorflow(proto):
    import tensorflow as tf

    wanted = np.asarray(tf.io.parse_tensor(proto.SerializeToString(), proto.dtype).numpy())
    _same(array_from_proto(proto), wanted)


@pytest.mark.parametrize(
    ("proto", "words"),
    [
        (_proto(1, [2], tensor_content=b"1234567"), "7 bytes"),
        (_proto(1, [-1]), "unknown dimension"),
        (_proto(0, [1]), "dtype type 0"),
        (_proto(21, [1]), "dtype type 21"),
        (_proto(7, [2], tensor_content=b"\x01\x01a"), "2 strings"),
        (_proto(7, [1], tensor_content=b"\x80"), "1 strings"),
    ],
)
def test_damaged_protos_are_refused(proto, words):
    with pytest.raises(TfsError, match=words):
        array_from_proto(proto)


@pytest.mark.parametrize("array", [np.array(["2020-01-01"], dtype="M8[D]"), np.array([1, None], dtype=object)])
def test_arrays_that_no_tensor_can_hold_are_refused(array):
    with pytest.raises(TfsError):
        proto_from_array(array)
