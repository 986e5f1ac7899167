"""Classify, Regress and MultiInference over both protocols (section 6 of the reference)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import Client, refusal
from example_requests import MODEL, classification, example, multi, regression, task
from running_server import RunningServer, publish


def serve(examples_model: Path, base: Path, *flags: str) -> Iterator[Client]:
    publish(examples_model, base, 3)
    with (
        RunningServer(f"--model_name={MODEL}", f"--model_base_path={base}", *flags) as server,
        Client(server) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client(examples_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    yield from serve(examples_model, tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def strict(examples_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server that insists on method names."""
    yield from serve(examples_model, tmp_path_factory.mktemp("base"), "--enable_signature_method_name_check")


def test_classify_answers_a_label_and_a_score_for_each_class_of_each_example(client: Client) -> None:
    reply = client.prediction.Classify(classification("classify", example(1.0, 2.0), example(3.0, 4.0)))
    rows = [[(c.label, c.score) for c in row.classes] for row in reply.result.classifications]
    assert rows == [[("low", 1.0), ("high", 2.0)], [("low", 3.0), ("high", 4.0)]]
    assert (reply.model_spec.name, reply.model_spec.version.value) == (MODEL, 3)
    assert reply.model_spec.signature_name == "classify"


def test_a_missing_classes_tensor_leaves_the_labels_empty(client: Client) -> None:
    reply = client.prediction.Classify(classification("scores_only", example(1.0, 2.0)))
    assert [(c.label, c.score) for c in reply.result.classifications[0].classes] == [("", 1.0), ("", 2.0)]


@pytest.mark.parametrize("signature", ["regress", "regress_column"])
def test_regress_answers_a_value_for_each_example(client: Client, signature: str) -> None:
    reply = client.prediction.Regress(regression(signature, example(1.0, 2.0), example(3.0, 4.0)))
    assert [r.value for r in reply.result.regressions] == [3.0, 7.0]


def test_the_context_fills_in_and_the_example_wins(client: Client) -> None:
    request = regression("regress", example(), example(3.0, 4.0), context=example(10.0, 20.0))
    reply = client.prediction.Regress(request)
    assert [r.value for r in reply.result.regressions] == [30.0, 7.0]


CLASSIFY_REFUSALS = [
    (classification("classify"), "Input is empty."),
    (classification("nope", example(1.0, 2.0)), "No signature was found with the name: nope"),
    (classification("other_input", example(1.0, 2.0)), "No classification inputs found in SignatureDef"),
    (classification("other_outputs", example(1.0, 2.0)), 'contain at least one of "classes" or "scores"'),
    (classification("three_outputs", example(1.0, 2.0)), "Expected one or two output Tensors, found 3"),
    (
        classification("vector_scores", example(1.0, 2.0)),
        "Expected Tensor shape: [batch_size num_classes] but got [1]",
    ),
    (
        classification("short_scores", example(1.0, 2.0), example(1.0, 2.0)),
        "Expected scores output batch size of 2. Got: 1",
    ),
    (classification("double_scores", example(1.0, 2.0)), "Expected scores Tensor of DT_FLOAT. Got: double"),
    (
        classification("uneven", example(1.0, 2.0)),
        "Tensors class and score should match in dim_size(1). Got 2 vs. 1",
    ),
    (classification("classify", example()), "x"),  # ParseExample's own words name the feature
]


@pytest.mark.parametrize(("request_", "message"), CLASSIFY_REFUSALS, ids=range(len(CLASSIFY_REFUSALS)))
def test_classify_refuses(client: Client, request_: Any, message: str) -> None:
    code, details = refusal(client.prediction.Classify, request_)
    assert code == "INVALID_ARGUMENT"
    assert message in details


REGRESS_REFUSALS = [
    (regression("regress"), "Input is empty."),
    (regression("other_outputs", example(1.0, 2.0)), "Expected one output Tensor."),
    (regression("scores_only", example(1.0, 2.0)), "No regression outputs found in SignatureDef"),
    (regression("other_input", example(1.0, 2.0)), "No regression inputs found in SignatureDef"),
    (
        regression("wide_regress", example(1.0, 2.0)),
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]",
    ),
    (
        regression("short_regress", example(1.0, 2.0), example(1.0, 2.0)),
        "Input batch size did not match output batch size: 2 vs. 1",
    ),
    (regression("double_regress", example(1.0, 2.0)), "Expected output Tensor of DT_FLOAT.  Got: double"),
]


@pytest.mark.parametrize(("request_", "message"), REGRESS_REFUSALS, ids=range(len(REGRESS_REFUSALS)))
def test_regress_refuses(client: Client, request_: Any, message: str) -> None:
    code, details = refusal(client.prediction.Regress, request_)
    assert code == "INVALID_ARGUMENT"
    assert message in details


def test_method_names_count_only_where_the_flag_says_so(client: Client, strict: Client) -> None:
    request = classification("scores_only", example(1.0, 2.0))
    client.prediction.Classify(request)
    code, details = refusal(strict.prediction.Classify, request)
    assert code == "INVALID_ARGUMENT"
    assert (
        details == "Expected classification signature method_name to be tensorflow/serving/classify. Was: "
        "tensorflow/serving/predict"
    )
    strict.prediction.Classify(classification("classify", example(1.0, 2.0)))


def test_multi_inference_answers_each_task_from_one_input(client: Client) -> None:
    reply = client.prediction.MultiInference(multi(task("classify", "classify"), task("regress", "regress")))
    first, second = reply.results
    assert [c.score for c in first.classification_result.classifications[0].classes] == [1.0, 2.0]
    assert second.regression_result.regressions[0].value == 3.0
    assert (second.model_spec.signature_name, second.model_spec.version.value) == ("regress", 3)


MULTI_REFUSALS = [
    (multi(), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    (multi(task("classify", "classify"), task("regress", "regress", "")), "INVALID_ARGUMENT", "empty model name"),
    (
        multi(task("classify", "classify"), task("regress", "regress", "other")),
        "INVALID_ARGUMENT",
        "must access the same model name",
    ),
    (
        multi(task("classify", "classify"), task("classify", "classify")),
        "INVALID_ARGUMENT",
        "Duplicate evaluation of signature: classify",
    ),
    (multi(task("nope", "classify")), "INVALID_ARGUMENT", "Requested signature not found in model graph: nope"),
    (
        multi(task("classify", "predict")),
        "UNIMPLEMENTED",
        "Unsupported signature method_name: tensorflow/serving/predict",
    ),
]


@pytest.mark.parametrize(("request_", "code", "message"), MULTI_REFUSALS, ids=range(len(MULTI_REFUSALS)))
def test_multi_inference_refuses(client: Client, request_: Any, code: str, message: str) -> None:
    assert refusal(client.prediction.MultiInference, request_)[0] == code
    assert message in refusal(client.prediction.MultiInference, request_)[1]


def rest(client: Client, verb: str, body: Any) -> tuple[int, Any]:
    reply = client.post(body, f"/v1/models/{MODEL}:{verb}")
    return reply.status_code, reply.json()


def test_rest_classifies_and_regresses(client: Client) -> None:
    body = {"signature_name": "classify", "examples": [{"x": [1.0, 2.0]}, {"x": [3.5, 4.0]}]}
    assert rest(client, "classify", body) == (
        200,
        {"results": [[["low", 1.0], ["high", 2.0]], [["low", 3.5], ["high", 4.0]]]},
    )
    body = {"signature_name": "regress", "context": {"x": [5.0, 6.0]}, "examples": [{}, {"x": [1.0, 2.5]}]}
    assert rest(client, "regress", body) == (200, {"results": [11.0, 3.5]})


REST_REFUSALS = [
    ({}, "When method is classify, key 'examples' is expected and was not found"),
    ({"examples": 3}, "Expecting 'examples' value to be an list/array"),
    ({"examples": []}, "'examples' value is an empty array"),
    ({"examples": [7]}, "Example must be JSON object but got JSON Number"),
    ({"examples": [{"x": 2**63}]}, "Feature: x has uint64_t element. Only int64_t is supported."),
    ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
    ({"examples": [{"x": [[1.0]]}]}, "Feature: x has element with unexpected JSON type: Array"),
    ({"examples": [{"x": [1, 1.5]}]}, "Unexpected element type in feature: x expecting type: int64"),
    ({"examples": [{"x": [1, 2]}]}, "int64"),  # `1` is no float feature: the graph refuses it
    ({"signature_name": "nope", "examples": [{"x": [1.0, 2.0]}]}, "No signature was found with the name: nope"),
]


@pytest.mark.parametrize(("body", "message"), REST_REFUSALS, ids=range(len(REST_REFUSALS)))
def test_rest_classify_refuses(client: Client, body: Any, message: str) -> None:
    status, reply = rest(client, "classify", body)
    assert status == 400
    assert message in reply["error"]


def test_rest_regress_names_its_own_method(client: Client) -> None:
    status, reply = rest(client, "regress", {})
    assert (status, "When method is regress" in reply["error"]) == (400, True)


def test_broken_examples_of_an_unknown_model_are_the_clients_first_mistake(client: Client) -> None:
    assert client.post({"examples": 3}, "/v1/models/nope:classify").status_code == 400
    assert client.post({"examples": [{}]}, "/v1/models/nope:classify").status_code == 404
