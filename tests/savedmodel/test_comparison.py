import dataclasses

import pytest

from tfs.savedmodel.comparison import compare, compare_signatures
from tfs.savedmodel.description import describe
from tfs.savedmodel.reading import Signature, TensorInfo

_X = TensorInfo("float32", (None, 3), "x:0")
_Y = TensorInfo("float32", (None, 2), "y:0")
_OLD = Signature("s", {"x": _X}, {"y": _Y}, "tensorflow/serving/predict")


def _shaped(info, *shape):
    return dataclasses.replace(info, shape=shape)


@pytest.mark.parametrize(
    ("new", "change", "incompatible"),
    [
        ({"inputs": {"x": _shaped(_X, None, None)}}, "input `x`: [?, 3] -> [?, ?]", False),
        ({"inputs": {"x": dataclasses.replace(_X, shape=None)}}, "input `x`: [?, 3] -> unknown rank", False),
        ({"inputs": {"x": _shaped(_X, 1, 3)}}, "input `x`: [?, 3] -> [1, 3]", True),
        ({"inputs": {"x": _shaped(_X, None, 4)}}, "input `x`: [?, 3] -> [?, 4]", True),
        ({"inputs": {"x": _shaped(_X, None, 3, 1)}}, "input `x`: [?, 3] -> [?, 3, 1]", True),
        ({"outputs": {"y": _shaped(_Y, 8, 2)}}, "output `y`: [?, 2] -> [8, 2]", False),
        ({"outputs": {"y": _shaped(_Y, None, None)}}, "output `y`: [?, 2] -> [?, ?]", True),
        ({"inputs": {"x": dataclasses.replace(_X, dtype="float64")}}, "input `x`: float32 -> float64", True),
        ({"outputs": {"y": dataclasses.replace(_Y, dtype="int64")}}, "output `y`: float32 -> int64", True),
        ({"method_name": ""}, "method: tensorflow/serving/predict -> none", True),
        ({"inputs": {"x": _X, "z": _X}}, "input `z` is new, and requests must have every input", True),
        ({"inputs": {}}, "input `x` is gone, and requests with it are refused", True),
        ({"outputs": {"y": _Y, "z": _Y}}, "output `z` is new, and REST now names the outputs", True),
        ({"outputs": {}}, "output `y` is gone", True),
        ({"inputs": {"x": dataclasses.replace(_X, name="other:0")}}, None, False),
    ],
)
def test_a_change_is_incompatible_when_clients_of_the_old_side_break(new, change, incompatible):
    found = compare_signatures({"s": dataclasses.replace(_OLD, **new)}, {"s": _OLD})
    expected = [] if change is None else [("s", change, incompatible)]
    assert [dataclasses.astuple(entry) for entry in found] == expected


def test_a_further_output_beside_several_is_compatible():
    old = dataclasses.replace(_OLD, outputs={"a": _Y, "b": _Y})
    new = dataclasses.replace(_OLD, outputs={"a": _Y, "b": _Y, "c": _Y})
    assert [entry.incompatible for entry in compare_signatures({"s": new}, {"s": old})] == [False]


def test_signatures_that_come_are_compatible_and_those_that_go_are_not():
    assert [(c.change, c.incompatible) for c in compare_signatures({"s": _OLD}, {})] == [("is new", False)]
    assert [(c.change, c.incompatible) for c in compare_signatures({}, {"s": _OLD})] == [("is gone", True)]


def test_a_version_differs_from_another_but_not_from_itself(plain_model, keras_saved_twice):
    plain, keras = describe(plain_model / "3"), describe(keras_saved_twice)
    same = compare(plain, plain)
    assert (same.incompatible, same.signatures, same.ops, same.variables) == (False, (), {}, ())
    other = compare(keras, plain)
    assert other.incompatible
    assert other.ops["MatMul"] == keras.ops["MatMul"]
    assert other.ops["HashTableV2"] == -plain.ops["HashTableV2"]
    assert "`slope` float32[] is gone" in other.variables
    assert other.sizes["assets"] == (6, 0)
