import numpy as np
import pytest

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.predict_inputs import check_shapes, inputs_from_arrays, inputs_from_body, signature_name_of_body
from tfs.savedmodel.reading import Signature, TensorInfo

_ONE = Signature("one", {"x": TensorInfo("float32", (None, 2), "x:0")}, {}, "")
_TWO = Signature(
    "two", {"id": TensorInfo("int32", (None,), "i:0"), "word": TensorInfo("string", (None,), "w:0")}, {}, ""
)
_SCALAR = Signature("scalar", {"flag": TensorInfo("bool", (), "f:0")}, {}, "")
_FREE = Signature("free", {"x": TensorInfo("float32", None, "x:0")}, {}, "")


def _plain(inputs):
    return {alias: array.tolist() for alias, array in inputs.items()}


@pytest.mark.parametrize(
    ("signature", "body", "expected"),
    [
        (_ONE, {"instances": [[1, 2], [3, 4]]}, {"x": [[1, 2], [3, 4]]}),
        (_ONE, {"instances": [{"x": [1, 2]}]}, {"x": [[1, 2]]}),
        (_ONE, {"inputs": [[1, 2]]}, {"x": [[1, 2]]}),
        (_ONE, {"inputs": {"x": [[1, 2]], "ignored": 5}}, {"x": [[1, 2]]}),
        (
            _TWO,
            {"instances": [{"id": 1, "word": "a"}, {"word": {"b64": "Yg=="}, "id": 2}]},
            {"id": [1, 2], "word": [b"a", b"b"]},
        ),
        (_TWO, {"inputs": {"id": [1], "word": ["a"]}}, {"id": [1], "word": [b"a"]}),
        (_SCALAR, {"inputs": True}, {"flag": True}),
        (_FREE, {"inputs": 3}, {"x": 3.0}),
    ],
)
def test_rows_and_columns_give_the_inputs(signature, body, expected):
    assert _plain(inputs_from_body(body, signature)) == expected


@pytest.mark.parametrize(
    ("signature", "body", "words"),
    [
        (_ONE, {}, "exactly one of"),
        (_ONE, {"instances": [], "inputs": []}, "exactly one of"),
        (_ONE, {"instances": []}, "at least one row"),
        (_ONE, {"instances": {"x": 1}}, "must be a list"),
        (_ONE, {"instances": [[1, 2], {"x": [1, 2]}]}, r"instances\[1\] is an object where others"),
        (_ONE, {"instances": [{"y": [1, 2]}]}, r"instances\[0\]: there is no input `y`"),
        (_ONE, {"inputs": {"y": [1, 2]}}, "input `x` is missing"),
        (_ONE, {"instances": [["a", "b"]]}, "input `x`: `'a'` is no float32"),
        (_TWO, {"instances": [1, 2]}, "must name the inputs of signature `two`"),
        (_TWO, {"instances": [{"id": 1}]}, r"instances\[0\]: input `word` is missing"),
    ],
)
def test_a_body_that_does_not_fit_is_refused(signature, body, words):
    with pytest.raises(TfsError, match=words):
        inputs_from_body(body, signature)


def test_the_body_may_name_its_signature():
    assert signature_name_of_body({"signature_name": "s"}, "default") == "s"
    assert signature_name_of_body({}, "default") == "default"
    for body in ([], {"signature_name": 3}):
        with pytest.raises(TfsError):
            signature_name_of_body(body, "default")


def test_arrays_are_converted_within_their_kind():
    inputs = inputs_from_arrays({"id": np.array([1, 2]), "word": np.array(["a", "\u00e9"])}, _TWO)
    assert inputs["id"].dtype == np.int32
    assert inputs["word"].tolist() == [b"a", "\u00e9".encode()]
    assert inputs_from_arrays({"x": np.ones((1, 2))}, _ONE)["x"].dtype == np.float32
    assert inputs_from_arrays({"x": np.ones((1, 2), np.uint8)}, _ONE)["x"].dtype == np.float32


@pytest.mark.parametrize(
    ("signature", "arrays", "words"),
    [
        (_TWO, {"id": np.array([2**40]), "word": np.array(["a"])}, "input `id`: values of the int64 array are out of"),
        (_TWO, {"id": np.array([1.0]), "word": np.array(["a"])}, "input `id`: an array of float64 is no int32"),
        (_TWO, {"id": np.array([1]), "word": np.array([1])}, "input `word`: `np.int64"),
        (_ONE, {"x": np.array([["a", "b"]])}, "input `x`: an array of <U1 is no float32"),
        (_ONE, {"x": np.ones((1, 2)), "y": np.ones(1)}, "no input `y`"),
        (_ONE, {"x": np.array([["2020-01-01", "2020-01-01"]], "M8[D]")}, "input `x`: arrays of dtype datetime64"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(signature, arrays, words):
    with pytest.raises(TfsError, match=words):
        inputs_from_arrays(arrays, signature)


@pytest.mark.parametrize("shape", [(2,), (1, 3), (), (1, 2, 1)])
def test_a_shape_that_the_signature_does_not_have_is_refused_on_demand(shape):
    inputs = inputs_from_arrays({"x": np.ones(shape)}, _ONE)
    with pytest.raises(TfsError, match=r"input `x`: shape \[.*\] does not fit \[\?, 2\]"):
        check_shapes(inputs, _ONE)
    check_shapes(inputs, _FREE)
