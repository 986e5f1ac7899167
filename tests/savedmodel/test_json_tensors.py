import json

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.json_tensors import array_from_json, json_from_array


@pytest.mark.parametrize(
    ("text", "dtype", "expected"),
    [
        ("[[1, 2.5], [3, -4e1]]", "float32", np.array([[1, 2.5], [3, -40]], np.float32)),
        ("7", "float64", np.array(7.0)),
        ("[1e300, -1e300]", "float32", np.array([np.inf, -np.inf], np.float32)),
        ("[Infinity, -Infinity]", "float16", np.array([np.inf, -np.inf], np.float16)),
        ("[1.5]", "bfloat16", np.array([1.5], ml_dtypes.bfloat16)),
        ("[9223372036854775807, -9223372036854775808]", "int64", np.array([2**63 - 1, -(2**63)])),
        ("[18446744073709551615]", "uint64", np.array([2**64 - 1], np.uint64)),
        ("[true, false]", "bool", np.array([True, False])),
        ("[]", "int32", np.zeros(0, np.int32)),
        ("[[], []]", "int32", np.zeros((2, 0), np.int32)),
        ('["a", {"b64": "/wA="}, {"b64": "/wA"}]', "string", np.array([b"a", b"\xff\x00", b"\xff\x00"], object)),
        ('{"b64": "YQ=="}', "string", np.array(b"a", object)),
        ('"stra\\u00dfe\\u0000"', "string", np.array("stra\u00dfe\0".encode(), object)),
    ],
)
def test_values_mean_what_they_mean_over_rest(text, dtype, expected):
    array = array_from_json(json.loads(text), dtype)
    assert (array.dtype, array.shape, array.tolist()) == (expected.dtype, expected.shape, expected.tolist())


def test_nan_is_nan():
    assert np.isnan(array_from_json(json.loads("[NaN]"), "float32")).all()
    assert json.dumps(json_from_array(np.array([np.nan, -np.inf], np.float32))) == "[NaN, -Infinity]"


@pytest.mark.parametrize(
    ("text", "dtype", "words"),
    [
        ("[1, [2]]", "int32", "a list stands at level 1"),
        ("[[1], 2]", "int32", "`2` stands at level 1"),
        ("[[1], [2, 3]]", "int32", "has 2 elements, others have 1"),
        ("[true]", "float32", "`True` is no float32"),
        ('["1"]', "float32", "`'1'` is no float32"),
        ("[null]", "float32", "`None` is no float32"),
        ("[1.0]", "int64", r"`1\.0` is no int64"),
        ("[true]", "int64", "`True` is no int64"),
        ("[300]", "int8", "300 is out of the range of int8"),
        ("[-1]", "uint64", "-1 is out of the range of uint64"),
        ("[1]", "bool", "`1` is no bool"),
        ("[1]", "string", "`1` is no string"),
        ('[{"b64": "a!"}]', "string", "no base64"),
        ('[{"b64": "YQ==", "x": 1}]', "string", "is no string"),
        ("[1]", "complex64", "JSON has no complex64"),
        ("[" * 70 + "]" * 70, "float32", "nested 70 deep"),
        ("[1" + "0" * 400 + "]", "float32", "out of the range of float32"),
    ],
)
def test_values_that_do_not_fit_are_refused(text, dtype, words):
    with pytest.raises(TfsError, match=words):
        array_from_json(json.loads(text), dtype)


_NUMBERS = {"float32": "f4", "float64": "f8", "float16": "f2", "int64": "i8", "uint8": "u1", "bool": "?"}


@given(st.sampled_from(sorted(_NUMBERS)), st.data())
def test_numbers_survive_the_way_through_json(name, data):
    array = data.draw(npst.arrays(_NUMBERS[name], npst.array_shapes(min_dims=0, min_side=1)))
    back = array_from_json(json.loads(json.dumps(json_from_array(array))), name)
    np.testing.assert_array_equal(back, array, strict=True)


@given(npst.arrays(object, npst.array_shapes(min_dims=0, min_side=1), elements=st.binary(max_size=8)))
def test_bytes_survive_the_way_through_json(array):
    back = array_from_json(json.loads(json.dumps(json_from_array(array))), "string")
    assert (back.shape, back.tolist()) == (array.shape, array.tolist())


def test_floats_have_the_digits_of_their_own_width():
    assert json_from_array(np.array([0.1, 1 / 3], np.float32)) == [0.1, 0.33333334]
    assert json_from_array(np.array(0.1, np.float64)) == 0.1
    assert json_from_array(np.array([1 + 2j], np.complex64)) == [[1.0, 2.0]]
