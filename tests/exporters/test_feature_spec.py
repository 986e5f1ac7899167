import numpy as np
import pytest
from pydantic import ValidationError

from tfs.exporters.feature_spec import Feature, convert_features, parsing_dictionary
from tfs.savedmodel.protos import example_pb2


def _example(**features):
    example = example_pb2.Example()
    for name, values in features.items():
        kind = {float: "float_list", int: "int64_list", bytes: "bytes_list"}[type(values[0])]
        getattr(example.features.feature[name], kind).value.extend(values)
    return example.SerializeToString()


def _parse(features, *examples):
    import tensorflow as tf

    return convert_features(tf.io.parse_example(list(examples), parsing_dictionary(features)), features)


def test_each_kind_is_parsed_to_its_declared_dtype():
    features = {
        "price": Feature(),
        "pixels": Feature(dtype="uint8", shape=[2, 2]),
        "bought": Feature(dtype="bool"),
        "words": Feature(dtype="string", kind="var_length"),
        "ids": Feature(dtype="int32", kind="ragged"),
    }
    first = _example(price=[1.5], pixels=[1, 2, 3, 255], bought=[1], words=[b"a", b"b"], ids=[7])
    second = _example(price=[2.5], pixels=[0, 0, 0, 0], bought=[0], ids=[8, 9])
    parsed = _parse(features, first, second)
    assert {name: tensor.dtype.name for name, tensor in parsed.items()} == {
        name: feature.dtype for name, feature in features.items()
    }
    assert parsed["price"].numpy().tolist() == [1.5, 2.5]
    assert parsed["pixels"].numpy().tolist() == [[[1, 2], [3, 255]], [[0, 0], [0, 0]]]
    assert parsed["bought"].numpy().tolist() == [True, False]
    assert parsed["words"].values.numpy().tolist() == [b"a", b"b"]
    assert parsed["ids"].to_list() == [[7], [8, 9]]


def test_a_default_stands_in_for_what_an_example_leaves_out():
    features = {
        "one": Feature(default=0.5),
        "filled": Feature(dtype="int64", shape=[2, 2], default=3),
        "listed": Feature(dtype="string", shape=[2], default=["a", "b"]),
    }
    parsed = _parse(features, b"")
    assert parsed["one"].numpy().tolist() == [np.float32(0.5)]
    assert parsed["filled"].numpy().tolist() == [[[3, 3], [3, 3]]]
    assert parsed["listed"].numpy().tolist() == [[b"a", b"b"]]


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"dtype": "complex64"}, "Input should be 'float16'"),
        ({"shape": [0]}, "greater than or equal to 1"),
        ({"kind": "ragged", "shape": [2]}, "a ragged feature has no shape and no default"),
        ({"kind": "var_length", "default": 1.0}, "a var_length feature has no shape"),
        ({"shape": [3], "default": [1.0, 2.0]}, "2 default values do not fill shape"),
        ({"default": "x"}, "'x' is no float32"),
        ({"dtype": "string", "default": 1}, "1 is no string"),
        ({"type": "float32"}, "Extra inputs are not permitted"),
    ],
)
def test_a_feature_that_makes_no_sense_is_refused(description, words):
    with pytest.raises(ValidationError, match=words):
        Feature.model_validate(description)
