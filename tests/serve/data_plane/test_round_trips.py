"""Random arrays sent to the identity over both protocols come back as they were."""

import base64
from typing import Any

import numpy as np
import pytest
from clients import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensor_protos import COMMON, NUMBERS, bits

from tfs.savedmodel.tensors import array_from_proto, proto_from_array

BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

JSON_DTYPES = [
    "DT_FLOAT",
    "DT_DOUBLE",
    "DT_INT8",
    "DT_INT16",
    "DT_INT32",
    "DT_INT64",
    "DT_UINT8",
    "DT_UINT32",
    "DT_UINT64",
    "DT_BOOL",
    "DT_STRING",
]


def arrays(name: str, *, min_dims: int = 0, min_side: int = 0, text: bool = False) -> st.SearchStrategy[np.ndarray]:
    shapes = hnp.array_shapes(min_dims=min_dims, max_dims=4, min_side=min_side, max_side=4)
    if name == "DT_STRING":
        element = st.text(max_size=20).map(str.encode) if text else st.binary(max_size=40)
        return hnp.arrays(object, shapes, elements=element)
    if name in ("DT_HALF", "DT_BFLOAT16"):
        return hnp.arrays(np.uint16, shapes).map(lambda array: array.view(COMMON[name]))
    return hnp.arrays(COMMON[name], shapes)


def assert_same(received: np.ndarray, sent: np.ndarray) -> None:
    assert (received.dtype, received.shape) == (sent.dtype, sent.shape)
    if sent.dtype.kind in "fc":
        np.testing.assert_array_equal(received, sent)
        number = ~np.isnan(sent)
        np.testing.assert_array_equal(np.signbit(received.real[number]), np.signbit(sent.real[number]))
    else:
        np.testing.assert_array_equal(bits(received), bits(sent))


@pytest.mark.parametrize("name", COMMON)
def test_over_grpc(client: Client, name: str) -> None:
    @BOUNDED
    @given(array=arrays(name), typed=st.booleans())
    def check(array: np.ndarray, typed: bool) -> None:
        sent = proto_from_array(array)
        answer = client.echo(sent)
        assert_same(array_from_proto(answer), array)
        if typed:  # what came back in typed fields is sent as it is
            assert client.echo(answer) == answer

    check()


def as_json(array: np.ndarray) -> Any:
    if array.dtype == object:
        return np.vectorize(bytes.decode, otypes=[object])(array).tolist() if array.size else array.tolist()
    return array.tolist()


def from_json(value: Any, like: np.ndarray) -> np.ndarray:
    if like.dtype == object:
        flat = np.empty(like.size, object)
        flat[:] = [text.encode() for text in np.array(value, object).ravel()]
        return flat.reshape(np.array(value, object).shape)
    with np.errstate(over="ignore"):
        return np.array(value, dtype=like.dtype)


@pytest.mark.parametrize("name", JSON_DTYPES)
def test_over_rest(client: Client, name: str) -> None:
    signature = f"echo_{NUMBERS[name]}"

    @BOUNDED
    @given(array=arrays(name, min_dims=1, min_side=1, text=True), named=st.booleans())
    def check(array: np.ndarray, named: bool) -> None:
        value = as_json(array)
        inputs = {"x": value} if named else value
        columns = client.answer({"signature_name": signature, "inputs": inputs})
        assert_same(from_json(columns["outputs"], array), array)
        instances = [{"x": row} for row in value] if named else value
        rows = client.answer({"signature_name": signature, "instances": instances})
        assert_same(from_json(rows["predictions"], array), array)

    check()


def test_bytes_over_rest_in_base64(client: Client) -> None:
    @BOUNDED
    @given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
    def check(strings: list[bytes]) -> None:
        encoded = [{"b64": base64.b64encode(string).decode()} for string in strings]
        assert client.answer({"signature_name": "one_bytes", "instances": encoded}) == {"predictions": encoded}

    check()
