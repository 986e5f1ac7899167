import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.json_examples import example_from_json, json_from_example

_float32 = st.floats(width=32, allow_nan=False)
_features = st.dictionaries(
    st.text(),
    st.one_of(
        st.lists(_float32, min_size=1),
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
        st.lists(st.text(), min_size=1),
    ),
)


@given(_features)
def test_an_example_survives_the_way_to_json_and_back(features):
    example = example_from_json(features)
    assert json_from_example(example) == features
    assert example_from_json(json_from_example(example)) == example


def test_kinds_are_told_apart_as_the_rest_api_does():
    example = example_from_json({"i": 2, "f": 2.0, "b": True, "s": "ä", "x": {"b64": "/w=="}, "none": []})
    features = example.features.feature
    assert features["i"].int64_list.value[:] == [2]
    assert features["f"].float_list.value[:] == [2.0]
    assert features["b"].int64_list.value[:] == [1]
    assert features["s"].bytes_list.value[:] == ["ä".encode()]
    assert features["x"].bytes_list.value[:] == [b"\xff"]
    assert features["none"].WhichOneof("kind") is None
    assert json_from_example(example)["x"] == [{"b64": "/w=="}]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "no JSON object"),
        ({"a": None}, "feature `a`: None is neither"),
        ({"a": [[1]]}, "neither a string nor a number"),
        ({"a": [1, 2.0]}, "several kinds: float_list, int64_list"),
        ({"a": 2**63}, "feature `a`"),
        ({"a": {"b64": "?"}}, "no base64"),
        ({"a": {"b64": 1}}, "no base64"),
    ],
)
def test_other_values_are_refused(given, words):
    with pytest.raises(TfsError, match=words):
        example_from_json(given)
