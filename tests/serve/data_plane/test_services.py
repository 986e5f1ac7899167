"""The services beside inference: health, server reflection, SessionService, metrics."""

from typing import Any

import pytest
from clients import Client, refusal, spec
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tensor_protos import tensor

from tfs.savedmodel.protos import load


def health(client: Client, service: str) -> Any:
    stub = health_pb2_grpc.HealthStub(client.channel)
    return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status


@pytest.mark.parametrize(
    "service",
    ["", "ModelService", "PredictionService", "tensorflow.serving.PredictionService", "kinds"],
)
def test_server_services_and_models_are_serving(client: Client, service: str) -> None:
    assert health(client, service) == health_pb2.HealthCheckResponse.SERVING


def test_the_health_of_an_unknown_model_is_not_found(client: Client) -> None:
    assert refusal(health, client, "nope")[0] == "NOT_FOUND"


def test_reflection_lists_all_services_and_describes_their_messages(client: Client) -> None:
    database = ProtoReflectionDescriptorDatabase(client.channel)
    assert {
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "tensorflow.serving.SessionService",
        "grpc.health.v1.Health",
    } <= set(database.get_services())
    pool = DescriptorPool(database)
    request = pool.FindMessageTypeByName("tensorflow.serving.PredictRequest")
    assert request.fields_by_name["inputs"].message_type.fields_by_name["value"].message_type.full_name == (
        "tensorflow.TensorProto"
    )


def session_run(client: Client, feeds: dict[str, Any], fetches: list[str], name: str = "kinds", **fields: Any) -> Any:
    messages = load("session_service_pb2")
    request = messages.SessionRunRequest(**{"model_spec": spec(name), "fetch": fetches, **fields})
    for feed, proto in feeds.items():
        request.feed.add(name=feed).tensor.CopyFrom(proto)
    reply = client.raw("/tensorflow.serving.SessionService/SessionRun", request.SerializeToString())
    return messages.SessionRunResponse.FromString(reply)


def tensor_names(client: Client, signature: str) -> tuple[str, str]:
    """Return the names of input x and output y in the graph."""
    metadata = client.http.get("/v1/models/kinds/metadata").json()
    definition = metadata["metadata"]["signature_def"]["signature_def"][signature]
    return definition["inputs"]["x"]["name"], definition["outputs"]["y"]["name"]


def test_session_run_feeds_and_fetches_tensors_by_their_names(client: Client) -> None:
    x, y = tensor_names(client, "serving_default")
    reply = session_run(client, {x: tensor("DT_FLOAT", [2], float_val=[2.0, 4.0])}, [y])
    assert [(t.name, list(t.tensor.float_val)) for t in reply.tensor] == [(y, [3.0, 4.0])]
    assert (reply.model_spec.name, reply.model_spec.version.value) == ("kinds", 7)


def test_session_run_takes_the_names_of_a_signature(client: Client) -> None:
    feeds = {"a": tensor("DT_FLOAT", [], float_val=[1.5]), "b": tensor("DT_INT32", [], int_val=[2])}
    pair = {"model_spec": spec(signature="pair"), "tensor_name_is_alias": True}
    reply = session_run(client, feeds, ["total", "b"], target=["scaled"], **pair)
    assert [(t.name, [*t.tensor.float_val, *t.tensor.int_val]) for t in reply.tensor] == [("total", [3.5]), ("b", [2])]
    # An alias means the tensor only where it is said to be one.
    assert refusal(lambda: session_run(client, feeds, ["total"]))[0] == "INVALID_ARGUMENT"

    def refused(**fields: Any) -> tuple[str, str]:
        return refusal(lambda: session_run(client, **{"feeds": {}, "fetches": [], **pair, **fields}))

    expected = "Expected to be in the set {b,scaled,total}."
    assert refused(fetches=["a"]) == (
        "INVALID_ARGUMENT",
        f"output tensor alias not found in signature: a {expected}",
    )
    assert refused(target=["a"])[1] == f"output tensor alias not found in signature: a {expected}"
    assert refused(feeds={"total": feeds["a"]})[1].startswith("input tensor alias not found in signature: total ")
    assert refused(model_spec=spec(signature="nope")) == (
        "FAILED_PRECONDITION",
        'Serving signature key "nope" not found.',
    )


@pytest.mark.parametrize(
    ("feeds", "fetches", "name", "code"),
    [
        ({"nope:0": tensor("DT_FLOAT", [1], float_val=[1.0])}, ["nope:0"], "kinds", "INVALID_ARGUMENT"),
        ({}, ["nope"], "kinds", "INVALID_ARGUMENT"),
        ({}, ["x"], "other", "NOT_FOUND"),
        ({}, [], "", "INVALID_ARGUMENT"),
    ],
)
def test_session_run_refuses(client: Client, feeds: Any, fetches: list[str], name: str, code: str) -> None:
    assert refusal(session_run, client, feeds, fetches, name)[0] == code


def test_session_run_with_a_wrong_dtype_is_an_error_of_the_request(client: Client) -> None:
    x, y = tensor_names(client, "serving_default")
    assert refusal(session_run, client, {x: tensor("DT_INT32", [1], int_val=[2])}, [y])[0] == "INVALID_ARGUMENT"
