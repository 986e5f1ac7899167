"""Ten thousand broken requests on each protocol: each gets an answer that blames the client, and the server goes on."""

import json
import random
import socket
from collections import Counter
from collections.abc import Callable

import grpc
import pytest
from clients import METADATA, PREDICT, STATUS, Client, request, spec
from raw_http import pipeline, predict_request
from tensor_protos import tensor

from tfs.savedmodel import protos

COUNT = 10_000

BODIES = [
    b'{"instances": [1.0, 2.5e3, -7]}',
    b'{"signature_name": "pair", "instances": [{"a": 1.0, "b": 2}, {"a": -1, "b": 3}]}',
    b'{"signature_name": "pair", "inputs": {"a": [[1.0, 2.0], [3.0, NaN]], "b": 4}}',
    b'{"signature_name": "texts", "instances": [{"s": {"b64": "aGVsbG8="}}, {"s": "\\u00e4\\ud83d\\ude00"}]}',
    b'{"signature_name": "total", "inputs": [[[1, 2], [3, 4]]], "ignored": {"a": [null, true, "x"]}}',
]


# Complete only to their last byte: there is no output_filter at the end that may be left out.
MESSAGES = [
    sent.SerializeToString()
    for sent in (
        request("total", x=tensor("DT_FLOAT", [2, 2], float_val=[1, 2, 3])),
        request("total", x=tensor("DT_FLOAT", [2], tensor_content=b"\0\0\x80\x3f" * 2)),
        request("pair", a=tensor("DT_FLOAT", [1], float_val=[1]), b=tensor("DT_INT32", [2], int_val=[5, -6])),
        request("texts", s=tensor("DT_STRING", [3], string_val=[b"hello", b"", b"\xff" * 40])),
    )
]


def mutated(chooser: random.Random, data: bytes) -> bytes:
    """Return `data` with up to four bytes changed, put in, taken out, or a piece of it doubled."""
    changed = bytearray(data)
    for _ in range(chooser.randrange(1, 5)):
        at = chooser.randrange(len(changed) + 1)
        kind = chooser.randrange(4)
        if kind == 0 and at < len(changed):
            changed[at] = chooser.randrange(256)
        elif kind == 1:
            changed[at:at] = bytes(
                [chooser.choice(b'{}[]",:0\\\x00\xff\x80') if chooser.random() < 0.5 else chooser.randrange(256)]
            )
        elif kind == 2:
            del changed[at : at + chooser.randrange(1, 4)]
        else:
            changed[at:at] = changed[at : at + chooser.randrange(1, 12)]
    return bytes(changed)


def truncated(chooser: random.Random, data: bytes) -> bytes:
    return data[: chooser.randrange(len(data))]


def noise(chooser: random.Random, _: bytes) -> bytes:
    return chooser.randbytes(chooser.randrange(60))


def broken(seed: int, how: Callable[[random.Random, bytes], bytes], sound: list[bytes]) -> list[bytes]:
    chooser = random.Random(seed)
    return [how(chooser, chooser.choice(sound)) for _ in range(COUNT // 3 + 1)]


@pytest.mark.parametrize("how", [truncated, noise], ids=lambda how: how.__name__)
def test_bodies_that_are_no_json_are_bad_requests(client: Client, how: Callable[[random.Random, bytes], bytes]) -> None:
    replies = pipeline(client.server.rest_address, [predict_request(body) for body in broken(1, how, BODIES)])
    assert Counter(reply.status for reply in replies) == {400: len(replies)}
    assert all(json.loads(reply.body)["error"].startswith("JSON ") for reply in replies)


def test_mutated_bodies_are_answered_or_bad_requests(client: Client) -> None:
    bodies = broken(2, mutated, BODIES)
    replies = pipeline(client.server.rest_address, [predict_request(body) for body in bodies])
    statuses = Counter(reply.status for reply in replies)
    assert set(statuses) == {200, 400}, [
        (body, reply) for body, reply in zip(bodies, replies, strict=True) if reply.status not in (200, 400)
    ]
    assert statuses[400] > statuses[200] > 0


def test_broken_http_ends_one_connection_only(client: Client) -> None:
    host, port = client.server.rest_address.rsplit(":", 1)
    chooser = random.Random(3)
    for _ in range(50):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(mutated(chooser, predict_request(BODIES[0]))[: chooser.randrange(1, 60)])
    client.check_alive()


def codes(client: Client, path: str, messages: list[bytes]) -> Counter[str]:
    """Send raw messages, many at a time, and count the codes of the answers."""
    call = client.channel.unary_unary(path)
    counts: Counter[str] = Counter()
    for start in range(0, len(messages), 500):
        for future in [call.future(message, timeout=60) for message in messages[start : start + 500]]:
            error = future.exception()
            assert error is None or isinstance(error, grpc.RpcError)
            counts["OK" if error is None else error.code().name] += 1
    return counts


@pytest.mark.parametrize("how", [truncated, noise], ids=lambda how: how.__name__)
def test_messages_that_are_no_protobuf_are_invalid_arguments(
    client: Client, how: Callable[[random.Random, bytes], bytes]
) -> None:
    messages = broken(4, how, MESSAGES)
    assert codes(client, PREDICT, messages) == {"INVALID_ARGUMENT": len(messages)}


def test_mutated_messages_are_answered_or_the_clients_fault(client: Client) -> None:
    counts = codes(client, PREDICT, broken(5, mutated, MESSAGES))
    assert set(counts) <= {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"}, counts
    assert counts["INVALID_ARGUMENT"] > counts["OK"] > 0


def test_the_other_methods_take_anything(client: Client) -> None:
    metadata = protos.load("get_model_metadata_pb2").GetModelMetadataRequest(
        model_spec=spec(version=7), metadata_field=["signature_def"]
    )
    status = protos.load("get_model_status_pb2").GetModelStatusRequest(model_spec=spec(version=7))
    for path, sound in ((METADATA, metadata), (STATUS, status)):
        chooser = random.Random(6)
        message = sound.SerializeToString()
        messages = [how(chooser, message) for how in (truncated, noise, mutated) for _ in range(300)]
        counts = codes(client, path, messages)
        assert set(counts) <= {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}, counts
