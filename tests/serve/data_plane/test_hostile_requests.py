"""Well-formed requests that ask for the machine: few bytes must not claim its memory, its time, or the process."""

import time

import pytest
from clients import PREDICT, Client, refusal, request
from tensor_protos import tensor

from tfs.savedmodel import protos

PARSING = "tensor parsing error: "


@pytest.mark.parametrize(
    "sent",
    [
        tensor("DT_FLOAT", [1 << 34]),
        tensor("DT_FLOAT", [1 << 40], float_val=[1]),
        tensor("DT_STRING", [1 << 30], string_val=[b"x"]),
        tensor("DT_BOOL", [1 << 50], bool_val=[True]),
    ],
    ids=str,
)
def test_values_that_are_not_sent_are_not_made_up_without_limit(client: Client, sent: object) -> None:
    code, message = refusal(client.echo, sent)
    assert (code, message[: len(PARSING)]) == ("INVALID_ARGUMENT", PARSING)


@pytest.mark.parametrize(
    "shape", [[1 << 40, 1, 0], [1 << 31, 0, 1 << 31], [0, 1 << 62, 1 << 62], [1 << 62, 0]], ids=str
)
@pytest.mark.parametrize("signature", ["product", "total", "echo_1", "pair"])
def test_empty_tensors_of_huge_dimensions(client: Client, signature: str, shape: list[int]) -> None:
    # The first one makes TensorFlow's MatMul throw a C++ exception, the second one makes it loop for hours.
    sent = tensor("DT_FLOAT", shape)
    inputs = {"a": sent, "b": tensor("DT_INT32", shape)} if signature == "pair" else {"x": sent}
    code, message = refusal(client.predict, request(signature, inputs=inputs))
    assert (code, message[: len(PARSING)]) == ("INVALID_ARGUMENT", PARSING)


def test_empty_tensors_of_usual_dimensions_are_fine(client: Client) -> None:
    reply = client.predict(request("product", x=tensor("DT_FLOAT", [100_000, 0, 2])))
    assert [dim.size for dim in reply.outputs["y"].tensor_shape.dim] == [100_000, 0, 1]


def _entry(field: int, payload: bytes) -> bytes:
    assert len(payload) < 128
    return bytes([field << 3 | 2, len(payload)]) + payload


def test_a_hundred_thousand_names_cost_no_time(client: Client) -> None:
    names = [b"%d" % number for number in range(100_000)]
    head = request("").SerializeToString()
    for message in (
        head + b"".join(_entry(2, _entry(1, name)) for name in names),
        head + b"".join(_entry(3, name) for name in names),
    ):
        start = time.monotonic()
        code, details = refusal(client.raw, PREDICT, message)
        assert time.monotonic() - start < 5
        assert code == "INVALID_ARGUMENT"
        assert details.startswith("input size does not match signature: ")


def test_of_equal_names_the_last_counts(client: Client) -> None:
    tensors = [tensor("DT_FLOAT", [1], float_val=[float(value)]).SerializeToString() for value in range(5)]
    entries = [_entry(2, _entry(1, b"x") + _entry(2, sent)) for sent in tensors]
    reply = client.raw(PREDICT, request("").SerializeToString() + b"".join(entries))
    outputs = protos.load("predict_pb2").PredictResponse.FromString(reply).outputs
    assert list(outputs["y"].float_val) == [4.0]


def test_a_broken_request_among_many_inputs_is_named(client: Client) -> None:
    sent = request("pair", a=tensor("DT_FLOAT", [1]), b=tensor("DT_INT32", [2], tensor_content=b"abc"))
    code, message = refusal(client.predict, sent)
    assert (code, message.split(" (")[0]) == ("INVALID_ARGUMENT", "tensor parsing error: b")
