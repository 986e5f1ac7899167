"""Twenty megabytes both ways on both protocols, and a message of more than gRPC's usual 4 MiB as a reply."""

import grpc
import numpy as np
import pytest
from clients import PREDICT, Client, request
from tensor_protos import KINDS, tensor

from tfs.savedmodel import protos
from tfs.savedmodel.tensors import array_from_proto, proto_from_array

COUNT = 5_000_000


def test_over_grpc(client: Client) -> None:
    sent = np.random.default_rng(1).standard_normal((COUNT // 1000, 1000), np.float32)
    proto = proto_from_array(sent)
    assert proto.ByteSize() > 20_000_000
    answer = client.predict(request("echo_1", x=proto)).outputs["y"]
    assert answer.ByteSize() > 20_000_000
    np.testing.assert_array_equal(array_from_proto(answer), sent)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_every_alignment_over_grpc(client: Client, dtype: str) -> None:
    """However long what stands before the numbers is, they arrive, as bytes or as values."""
    sent = np.random.default_rng(4).integers(0, 2, 40_000).astype(dtype)
    by_content = proto_from_array(sent)
    by_values = tensor(by_content.dtype, [sent.size], **{KINDS[by_content.dtype].field: sent.tolist()})
    assert by_content.tensor_content
    assert not by_values.tensor_content
    for length in range(66):
        message = request(f"echo_{by_content.dtype}", x=(by_content, by_values)[length % 2])
        answer = client.raw(PREDICT, _unknown_field(length) + message.SerializeToString())
        response = protos.load("predict_pb2").PredictResponse.FromString(answer)
        np.testing.assert_array_equal(array_from_proto(response.outputs["y"]), sent)


def _unknown_field(length: int) -> bytes:
    return bytes([15 << 3 | 2, length]) + bytes(length)


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_over_grpc(client: Client, compression: grpc.Compression) -> None:
    sent = np.zeros(100_000, np.float32)
    message = request("echo_1", x=proto_from_array(sent))
    answer = client.prediction.Predict(message, timeout=30, compression=compression)
    np.testing.assert_array_equal(array_from_proto(answer.outputs["y"]), sent)


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_what_unpacks_to_very_much_is_refused(client: Client, compression: grpc.Compression) -> None:
    message = request("echo_1", x=tensor("DT_FLOAT", [27_000_000], tensor_content=bytes(108_000_000)))
    with pytest.raises(grpc.RpcError) as refused:
        client.prediction.Predict(message, timeout=60, compression=compression)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "decompresses to more than max (104857600 bytes)" in refused.value.details()
    assert "grpc.max_receive_message_length" in refused.value.details()
    client.check_alive()


def test_several_over_grpc(client: Client) -> None:
    a = np.random.default_rng(3).standard_normal(50_000, np.float32)
    b = np.arange(a.size, dtype=np.int32)
    sent = request("pair", a=proto_from_array(a), b=proto_from_array(b))
    for wanted in ([], ["total", "b"], ["scaled"]):
        sent.output_filter[:] = wanted
        outputs = {alias: array_from_proto(proto) for alias, proto in client.predict(sent).outputs.items()}
        assert sorted(outputs) == sorted(wanted or ["total", "scaled", "b"])
        expected = {"total": a + b.astype(np.float32), "scaled": 2 * a, "b": b}
        for alias, array in outputs.items():
            np.testing.assert_array_equal(array, expected[alias])


def test_strings_over_grpc(client: Client) -> None:
    sent = np.array([bytes([index % 256]) * 100_000 for index in range(200)] + [b"x"] * 100_000, object)
    answer = client.predict(request("echo_7", x=proto_from_array(sent))).outputs["y"]
    assert list(answer.string_val) == sent.tolist()


def test_over_rest(client: Client) -> None:
    sent = np.random.default_rng(2).integers(100, 1000, COUNT)
    numbers = ",".join(map(str, sent.tolist())).encode()
    assert len(numbers) > 19_000_000
    for form, key in ((b"inputs", "outputs"), (b"instances", "predictions")):
        response = client.post(b'{"signature_name": "echo_3", "' + form + b'": [' + numbers + b"]}")
        assert response.status_code == 200
        text = response.content
        values = np.fromstring(text[text.index(b"[") + 1 : text.index(b"]")], np.int64, sep=",")
        assert key.encode() in text[:100]
        np.testing.assert_array_equal(values, sent)
