"""TFLite models answer as the SavedModels that they were converted from, over both protocols.

Every model of make_tflite_models.py is served by one server with one interpreter for each version.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batching_requests import together
from clients import Client, refusal, spec
from running_server import AVAILABLE, RunningServer, model_server_config, publish

from tfs.savedmodel.protos import load
from tfs.savedmodel.tensors import array_from_proto, proto_from_array

SERVED = ("tensorflow", "signatures", "lone", "names", "image", "int8", "slow")
LONG = 6e6  # counted to in about a second
STRINGS = [b"a\0b", b"", "grün".encode(), b"\xff"]


@pytest.fixture(scope="module")
def client(tflite_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("tflite")
    for name in SERVED:
        publish(tflite_models / name, folder / name, 1)
    config = folder / "models.config"
    config.write_text(model_server_config(**{name: folder / name for name in SERVED}))
    flags = ("--prefer_tflite_model", "--num_tflite_pools=1", "--num_tflite_interpreters_per_pool=1")
    with RunningServer(f"--model_config_file={config}", *flags) as server, Client(server) as client:
        yield client


def request(model: str, signature: str = "", outputs: tuple[str, ...] = (), **inputs: Any) -> Any:
    tensors = {alias: proto_from_array(np.asarray(value)) for alias, value in inputs.items()}
    return load("predict_pb2").PredictRequest(
        model_spec=spec(model, signature=signature), inputs=tensors, output_filter=outputs
    )


def answer(client: Client, sent: Any) -> dict[str, np.ndarray]:
    return {alias: array_from_proto(proto) for alias, proto in client.predict(sent).outputs.items()}


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(11).normal(size=shape).astype(np.float32)


def strings(*values: bytes) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


INPUTS: dict[str, dict[str, Any]] = {
    "": {"x": floats(3, 4)},
    "serving_default": {"x": floats(1, 4)},
    "add": {"a": np.array([[1, 2**40]]), "b": np.array([[-3, 5]])},
    "reverse": {"s": strings(*STRINGS)},
}


@pytest.mark.parametrize("signature", INPUTS)
def test_every_signature_answers_as_tensorflow_does(client: Client, signature: str) -> None:
    expected = answer(client, request("tensorflow", signature, **INPUTS[signature]))
    found = answer(client, request("signatures", signature, **INPUTS[signature]))
    assert found.keys() == expected.keys()
    for alias, array in expected.items():
        assert (found[alias].dtype, found[alias].shape) == (array.dtype, array.shape)
        if array.dtype == object:
            assert found[alias].tolist() == array.tolist()
        else:
            np.testing.assert_allclose(found[alias], array, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 5, 2, 0, 300])
def test_inputs_are_resized_to_what_is_sent(client: Client, rows: int) -> None:
    x = floats(rows, 4)
    expected = answer(client, request("tensorflow", x=x))["y"]
    np.testing.assert_allclose(answer(client, request("signatures", x=x))["y"], expected, rtol=1e-5, atol=1e-6)


def from_both(client: Client, body: Any) -> tuple[Any, Any]:
    found, expected = (client.answer(body, f"/v1/models/{model}:predict") for model in ("signatures", "tensorflow"))
    return found, expected


def test_rest_answers_as_tensorflow_does(client: Client) -> None:
    x = floats(2, 4).tolist()
    by_row, expected_by_row = from_both(client, {"instances": x})
    by_output, expected_by_output = from_both(client, {"inputs": {"x": x}})
    for alias in ("y", "total"):
        rows, expected_rows = ([row[alias] for row in reply["predictions"]] for reply in (by_row, expected_by_row))
        np.testing.assert_allclose(rows, expected_rows, rtol=1e-5, atol=1e-6)
        values, expected = (reply["outputs"][alias] for reply in (by_output, expected_by_output))
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    for body in (
        {"signature_name": "add", "instances": [{"a": [1, 2**60], "b": [3, 4]}]},
        {"signature_name": "reverse", "instances": ["grün", {"b64": "AGE="}, ""]},
    ):
        found, same = from_both(client, body)
        assert found == same


def test_the_output_filter_chooses(client: Client) -> None:
    x = floats(2, 4)
    assert answer(client, request("signatures", outputs=("total",), x=x)).keys() == {"total"}
    swapped = client.predict(request("signatures", outputs=("y", "total"), x=x)).outputs
    assert array_from_proto(swapped["total"]).shape == (2,)


def test_a_quantized_model_is_close_to_its_original(client: Client, tflite_models: Path) -> None:
    scales = json.loads((tflite_models / "int8.json").read_text())
    (scale, zero), (out_scale, out_zero) = scales["input"], scales["output"]
    image = floats(4, 8, 8, 3)
    expected = answer(client, request("image", image=image))["output_0"]
    quantized = np.clip(np.round(image / scale) + zero, -128, 127).astype(np.int8)
    found = answer(client, request("int8", image=quantized))["output_0"]
    assert found.dtype == np.int8
    assert np.abs((found - float(out_zero)) * out_scale - expected).max() < 0.05
    row = quantized[:1].tolist()
    assert client.answer({"instances": row}, "/v1/models/int8:predict") == {"predictions": found[:1].tolist()}


def metadata(client: Client, model: str) -> Any:
    message = load("get_model_metadata_pb2").GetModelMetadataRequest(
        model_spec=spec(model), metadata_field=["signature_def"]
    )
    signatures = load("get_model_metadata_pb2").SignatureDefMap()
    assert client.prediction.GetModelMetadata(message, timeout=10).metadata["signature_def"].Unpack(signatures)
    return signatures.signature_def


def test_metadata_has_the_signatures_of_the_model(client: Client) -> None:
    found, original = metadata(client, "signatures"), metadata(client, "tensorflow")
    assert found.keys() == original.keys() - {"__saved_model_init_op"}
    for name, signature in found.items():
        assert signature.method_name == "tensorflow/serving/predict"
        for ports in ("inputs", "outputs"):
            infos, originals = getattr(signature, ports), getattr(original[name], ports)
            assert infos.keys() == originals.keys()
            for alias, info in infos.items():
                assert (info.dtype, info.tensor_shape) == (originals[alias].dtype, originals[alias].tensor_shape)
    rest = client.http.get("/v1/models/signatures/metadata").json()["metadata"]["signature_def"]["signature_def"]
    assert rest["add"]["inputs"]["a"] == {
        "dtype": "DT_INT64",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}], "unknown_rank": False},
        "name": "add_a:0",
    }


def test_a_model_without_signatures_has_one_of_its_tensors_names(client: Client) -> None:
    [(name, signature)] = metadata(client, "names").items()
    assert name == "serving_default"
    assert {alias: info.name for alias, info in signature.inputs.items()} == {
        "serving_default_x": "serving_default_x:0"
    }
    assert signature.outputs.keys() == {"StatefulPartitionedCall", "StatefulPartitionedCall:1"}
    x = floats(3, 4)
    expected = answer(client, request("tensorflow", x=x))
    found = answer(client, request("names", serving_default_x=x))
    by_rank = {array.ndim: array for array in found.values()}
    np.testing.assert_allclose(by_rank[2], expected["y"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_rank[1], expected["total"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("signature", ["", "add"])
def test_a_lone_signature_is_the_default_too(client: Client, signature: str) -> None:
    sent = request("lone", signature, **INPUTS["add"])
    assert answer(client, sent)["sum"].tolist() == [[-2, 2**40 + 5]]


def test_the_version_is_available(client: Client) -> None:
    assert client.server.states("signatures") == {1: AVAILABLE}
    model = client.http.get("/v1/models/names").json()["model_version_status"][0]
    assert (model["version"], model["state"]) == ("1", "AVAILABLE")


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("", {"y": floats(1, 4)}),
    ("", {"x": floats(1, 4), "z": floats(1, 4)}),
    ("", {"x": np.zeros((1, 4), np.float64)}),
    ("", {"x": strings(b"1")}),
    ("none", {"x": floats(1, 4)}),
    ("add", {"a": np.array([[1, 2]])}),
]


@pytest.mark.parametrize(("signature", "inputs"), REFUSED)
def test_requests_are_refused_in_the_same_words(client: Client, signature: str, inputs: dict[str, Any]) -> None:
    found = refusal(client.predict, request("signatures", signature, **inputs))
    assert found == refusal(client.predict, request("tensorflow", signature, **inputs))
    assert found[0] == ("FAILED_PRECONDITION" if signature == "none" else "INVALID_ARGUMENT")


def test_what_the_model_cannot_compute_fails_alone(client: Client) -> None:
    good = request("signatures", x=floats(2, 4))
    expected = answer(client, good)
    for x in (floats(2, 5), floats(4), np.float32(1)):
        code, message = refusal(client.predict, request("signatures", x=x))
        assert (code, message.count("\n")) == ("INTERNAL", 0)
        assert message.startswith(f"LiteRT failed on inputs of the shapes x {list(np.shape(x))}: ")
        np.testing.assert_array_equal(answer(client, good)["y"], expected["y"])
    unequal = request("signatures", "add", a=np.ones((2, 2), np.int64), b=np.ones((3, 2), np.int64))
    code, message = refusal(client.predict, unequal)
    assert (code, message.count("not broadcastable")) == ("INTERNAL", 1)
    assert "XNNPack" not in message, "the errors of earlier requests are no longer part of it"
    response = client.post({"instances": [[1.0] * 5]}, "/v1/models/signatures:predict")
    assert response.status_code == 500


def test_there_is_no_graph_for_session_run(client: Client) -> None:
    message = load("session_service_pb2").SessionRunRequest(model_spec=spec("signatures"), fetch=["y"])
    path = "/tensorflow.serving.SessionService/SessionRun"
    assert refusal(client.raw, path, message.SerializeToString())[0] == "UNIMPLEMENTED"


def test_requests_wait_for_an_interpreter_and_for_nothing_else(client: Client) -> None:
    short = request("slow", x=np.ones(1, np.float32))
    running = client.prediction.Predict.future(request("slow", x=np.full(1, LONG, np.float32)), timeout=60)
    time.sleep(0.1)
    waiting = [client.prediction.Predict.future(short, timeout=60) for _ in range(8)]
    start = time.monotonic()
    # At its deadline, or sooner if the server knows by then how long such a wait takes.
    assert refusal(client.predict, short, 0.3)[0] in ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
    assert time.monotonic() - start < 1
    # Too large for the threads that read sockets, so these need threads that no waiting request may hold.
    large = request("tensorflow", x=floats(5000, 4))
    together([lambda: client.predict(large)] * 8)
    assert not running.done(), "the run is long enough"
    assert not any(future.done() for future in waiting)
    for future in waiting:
        assert list(future.result().outputs["y"].float_val) == [1.0]
    assert running.done()
