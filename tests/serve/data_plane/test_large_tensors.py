"""Twenty megabytes both ways on both protocols, and a message of more than gRPC's usual 4 MiB as a reply."""

import numpy as np
from clients import Client, request

from tfs.savedmodel.tensors import array_from_proto, proto_from_array

COUNT = 5_000_000


def test_over_grpc(client: Client) -> None:
    sent = np.random.default_rng(1).standard_normal((COUNT // 1000, 1000), np.float32)
    proto = proto_from_array(sent)
    assert proto.ByteSize() > 20_000_000
    answer = client.predict(request("echo_1", x=proto)).outputs["y"]
    assert answer.ByteSize() > 20_000_000
    np.testing.assert_array_equal(array_from_proto(answer), sent)


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
