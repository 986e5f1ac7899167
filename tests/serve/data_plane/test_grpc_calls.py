"""Predict, GetModelMetadata and GetModelStatus over gRPC: what they answer, and how they refuse."""

from typing import Any

import pytest
from clients import METADATA, PREDICT, STATUS, Client, refusal, request, spec
from running_server import AVAILABLE
from tensor_protos import shape_of, tensor

from tfs.savedmodel import protos

X = tensor("DT_FLOAT", [2], float_val=[2, 4])
ONE = tensor("DT_INT32", [], int_val=[1])
SEVERAL = "Inputs expected to be in the set "


def bare(**fields: Any) -> Any:
    """Return a PredictRequest with exactly these fields."""
    return protos.load("predict_pb2").PredictRequest(**fields)


PREDICT_REFUSALS = {
    "no model_spec": (bare(inputs={"x": X}), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "empty message": (bare(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "empty name": (request(model_spec=spec(""), x=X), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "empty name, label": (
        request(model_spec=spec("", label="stable"), x=X),
        "INVALID_ARGUMENT",
        "ModelSpec has no name specified.",
    ),
    "other version": (
        request(model_spec=spec(version=8), x=X),
        "NOT_FOUND",
        "Servable not found for request: Specific(kinds, 8)",
    ),
    "version 0": (
        request(model_spec=spec(version=0), x=X),
        "NOT_FOUND",
        "Servable not found for request: Specific(kinds, 0)",
    ),
    "negative version": (
        request(model_spec=spec(version=-1), x=X),
        "NOT_FOUND",
        "Servable not found for request: Specific(kinds, -1)",
    ),
    "unknown model": (
        request(model_spec=spec("nobody"), x=X),
        "NOT_FOUND",
        "Servable not found for request: Latest(nobody)",
    ),
    "unknown model, version": (
        request(model_spec=spec("nobody", version=7), x=X),
        "NOT_FOUND",
        "Servable not found for request: Specific(nobody, 7)",
    ),
    "unknown label": (
        request(model_spec=spec(label="stable"), x=X),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: stable",
    ),
    "unknown label, unknown model": (
        request(model_spec=spec("nobody", label="stable"), x=X),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: stable",
    ),
    "unknown signature": (request("other", x=X), "FAILED_PRECONDITION", 'Serving signature key "other" not found.'),
    "unknown signature, unknown model": (
        request(model_spec=spec("nobody", signature="other"), x=X),
        "NOT_FOUND",
        "Servable not found for request: Latest(nobody)",
    ),
    "no input": (
        request(""),
        "INVALID_ARGUMENT",
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    ),
    "too many inputs": (
        request("pair", a=X, c=X, b=ONE),
        "INVALID_ARGUMENT",
        "input size does not match signature: 3!=2 len({a,b,c}) != len({a,b}). Sent extra: {c}. "
        "Missing but required: {}.",
    ),
    "other input": (
        request("", z=X),
        "INVALID_ARGUMENT",
        "Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value provided. "
        f"{SEVERAL}{{x}}. Sent extra: {{z}}. Missing but required: {{x}}.",
    ),
    "only the default's input": (
        request("defaulted", b=X),
        "INVALID_ARGUMENT",
        "Signature input alias: a(feed name: defaulted_a:0) not found in request and no default value provided. "
        f"{SEVERAL}{{a,b}}. Sent extra: {{}}. Missing but required: {{a}}.",
    ),
    "other input beside a default": (
        request("defaulted", a=X, z=X),
        "INVALID_ARGUMENT",
        f"Inputs contains invalid name. {SEVERAL}{{a,b}}. Sent extra: {{z}}.",
    ),
    "broken tensor": (
        request("", x=tensor("DT_FLOAT", [2], tensor_content=b"abc")),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    "broken tensor of another dtype": (
        request("", x=tensor("DT_INT32", [2], tensor_content=b"abc")),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    "unknown output": (
        request("pair", a=X, b=ONE, output_filter=["total", "z"]),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: z Outputs expected to be in the set {b,scaled,total}.",
    ),
    "output twice": (
        request("pair", a=X, b=ONE, output_filter=["total", "total"]),
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: total",
    ),
    "wrong dtype": (
        request("", x=tensor("DT_STRING", [1], string_val=[b"2"])),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but string is provided",
    ),
    "wrong dtype of the second input": (
        request("pair", a=X, b=X),
        "INVALID_ARGUMENT",
        "Expects arg[1] to be int32 but float is provided",
    ),
    "wider dtype": (
        request("", x=tensor("DT_DOUBLE", [1], double_val=[2])),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but double is provided",
    ),
    "what the graph refuses": (request("product", x=X), "INVALID_ARGUMENT", ""),
}


@pytest.mark.parametrize("name", PREDICT_REFUSALS)
def test_predict_refuses(client: Client, name: str) -> None:
    sent, code, message = PREDICT_REFUSALS[name]
    got_code, got_message = refusal(client.predict, sent)
    assert (got_code, got_message[: len(message)]) == (code, message)
    assert got_message


def metadata_request(*fields: str, model_spec: Any = None) -> Any:
    return protos.load("get_model_metadata_pb2").GetModelMetadataRequest(model_spec=model_spec, metadata_field=fields)


def status_request(model_spec: Any = None) -> Any:
    return protos.load("get_model_status_pb2").GetModelStatusRequest(model_spec=model_spec)


OTHER_REFUSALS = {
    "metadata: no model_spec": (
        METADATA,
        metadata_request("signature_def"),
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    ),
    "metadata: no field": (
        METADATA,
        metadata_request(model_spec=spec()),
        "INVALID_ARGUMENT",
        "GetModelMetadataRequest must specify at least one metadata_field",
    ),
    "metadata: unknown field": (
        METADATA,
        metadata_request("signature_def", "size", model_spec=spec()),
        "INVALID_ARGUMENT",
        "Metadata field size is not supported",
    ),
    "metadata: unknown field, unknown model": (
        METADATA,
        metadata_request("size", model_spec=spec("nobody")),
        "INVALID_ARGUMENT",
        "Metadata field size is not supported",
    ),
    "metadata: unknown model": (
        METADATA,
        metadata_request("signature_def", model_spec=spec("nobody")),
        "NOT_FOUND",
        "Servable not found for request: Latest(nobody)",
    ),
    "metadata: other version": (
        METADATA,
        metadata_request("signature_def", model_spec=spec(version=8)),
        "NOT_FOUND",
        "Servable not found for request: Specific(kinds, 8)",
    ),
    "metadata: unknown label": (
        METADATA,
        metadata_request("signature_def", model_spec=spec(label="l")),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: l",
    ),
    "status: no model_spec": (STATUS, status_request(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "status: unknown model": (
        STATUS,
        status_request(spec("nobody")),
        "NOT_FOUND",
        "Could not find any versions of model nobody",
    ),
    "status: empty name": (STATUS, status_request(spec("")), "NOT_FOUND", "Could not find any versions of model "),
    "status: other version": (
        STATUS,
        status_request(spec(version=8)),
        "NOT_FOUND",
        "Could not find version 8 of model kinds",
    ),
    "unknown method": ("/tensorflow.serving.PredictionService/Guess", bare(), "UNIMPLEMENTED", ""),
    "unknown service": ("/tensorflow.serving.Oracle/Predict", bare(), "UNIMPLEMENTED", ""),
}


@pytest.mark.parametrize("name", OTHER_REFUSALS)
def test_the_other_methods_refuse(client: Client, name: str) -> None:
    path, sent, code, message = OTHER_REFUSALS[name]
    got_code, got_message = refusal(client.raw, path, sent.SerializeToString())
    assert got_code == code
    assert got_message == message or not message


def test_long_messages_are_cut_at_1024_bytes(client: Client) -> None:
    for letter in ("n", "ä"):
        code, message = refusal(client.predict, request("", x=X, output_filter=[letter * 3000]))
        assert code == "INVALID_ARGUMENT"
        assert 1020 < len(message.encode()) <= 1024
        assert message.startswith(f"output tensor alias not found in signature: {letter * 100}")
        assert message.endswith(f"{letter}...TRUNCATED")


def test_a_reply_names_the_effective_version_and_signature(client: Client) -> None:
    for sent in (request("", x=X), request("serving_default", model_spec=spec(version=7), x=X)):
        reply = client.predict(sent)
        assert reply.model_spec == spec(version=7, signature="serving_default")
        assert list(reply.outputs["y"].float_val) == [3, 4]


def test_several_outputs_and_the_filter_among_them(client: Client) -> None:
    everything = client.predict(request("pair", a=X, b=ONE))
    assert {name: list(proto.float_val) for name, proto in everything.outputs.items()} == {
        "total": [3, 5],
        "scaled": [4, 8],
        "b": [],
    }
    assert list(everything.outputs["b"].int_val) == [1]
    some = client.predict(request("pair", a=X, b=ONE, output_filter=["total", "b"]))
    assert set(some.outputs) == {"total", "b"}
    assert some.outputs["total"] == everything.outputs["total"]


@pytest.mark.parametrize("shape", [[], [1], [2, 2], [1, 1, 3], [0], [2, 0]])
def test_shapes_are_not_compared_with_the_signature(client: Client, shape: list[int]) -> None:
    reply = client.predict(request("", x=tensor("DT_FLOAT", shape, float_val=[2]))).outputs["y"]
    assert shape_of(reply) == shape
    assert set(reply.float_val) <= {3.0}


def test_what_is_left_out_gets_the_signatures_default(client: Client) -> None:
    assert list(client.predict(request("defaulted", a=X)).outputs["y"].float_val) == [12, 14]
    assert list(client.predict(request("defaulted", a=X, b=X)).outputs["y"].float_val) == [4, 8]


def test_a_signature_without_inputs_can_be_called(client: Client) -> None:
    assert list(client.predict(request("no_inputs")).outputs["y"].float_val) == [7]


def test_unknown_fields_are_ignored(client: Client) -> None:
    message = request("", x=X).SerializeToString() + b"\xa2\x06\x03abc" + b"\xa8\x06\x05" + b"\x2a\x02id"
    reply = protos.load("predict_pb2").PredictResponse.FromString(client.raw(PREDICT, message))
    assert list(reply.outputs["y"].float_val) == [3, 4]


def test_metadata_is_the_models_own_signature_map(client: Client) -> None:
    reply = client.prediction.GetModelMetadata(metadata_request("signature_def", model_spec=spec()), timeout=10)
    assert reply.model_spec == spec(version=7)
    assert list(reply.metadata) == ["signature_def"]
    packed = reply.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = protos.load("get_model_metadata_pb2").SignatureDefMap.FromString(packed.value).signature_def
    assert {"serving_default", "pair", "echo_1", "__saved_model_init_op"} <= set(signatures)
    default = signatures["serving_default"]
    assert default.method_name == "tensorflow/serving/predict"
    assert (default.inputs["x"].name, default.inputs["x"].dtype) == ("serving_default_x:0", 1)
    assert [dim.size for dim in default.inputs["x"].tensor_shape.dim] == [-1]
    assert signatures["echo_1"].inputs["x"].tensor_shape.unknown_rank
    assert list(signatures["defaulted"].defaults["b"].float_val) == [10]


@pytest.mark.parametrize(
    "model_spec", [spec(), spec(version=7), spec(label="ignored"), spec(signature="ignored")], ids=str
)
def test_status_lists_the_versions(client: Client, model_spec: Any) -> None:
    [status] = client.models.GetModelStatus(status_request(model_spec), timeout=10).model_version_status
    assert (status.version, status.state) == (7, AVAILABLE)
    assert (status.status.error_code, status.status.error_message) == (0, "")
