"""Requests that come together are run together, and each gets its own answer (section 11 of the reference).

The models say how many rows were run with theirs. One server has a model for each set of parameters, and one thread
that runs batches, so that a long run lets others gather.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from batching_requests import LONG, answer, answers, ask, later, occupy, together
from batching_servers import batching_client
from clients import Client, refusal, spec

from tfs.savedmodel.protos import load
from tfs.savedmodel.tensors import array_from_proto

# A batch of `patient` leaves when it is full, which is why nothing here depends on a clock.
MODELS = {
    "patient": "max_batch_size { value: 8 } batch_timeout_micros { value: 2000000 }",
    "hasty": "max_batch_size { value: 8 }",
    "tiny": "max_batch_size { value: 2 } max_enqueued_batches { value: 1 }",
    "padded": "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8",
    "variable": (
        "max_batch_size { value: 4 } batch_timeout_micros { value: 2000000 } pad_variable_length_inputs: true"
    ),
    "split": (
        "max_batch_size { value: 12 } max_execution_batch_size { value: 4 } "
        "enable_large_batch_splitting { value: true }"
    ),
    "alone": None,
}
REST_TIMEOUT = 0.5


@pytest.fixture(scope="module")
def client(batching_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    timeout = f"--rest_api_timeout_in_ms={1000 * REST_TIMEOUT:.0f}"
    folder = tmp_path_factory.mktemp("bases")
    with batching_client(batching_model, folder, MODELS, "--enable_batching", timeout) as client:
        yield client


def test_requests_share_a_run_and_each_gets_its_own_rows(client: Client) -> None:
    rows = [[1.0, 2.0], [3.0], [4.0, 5.0, 6.0], [7.0, 8.0]]
    for got, sent in zip(answers(client, *(ask("patient", x=row) for row in rows)), rows, strict=True):
        assert got == {"y": [2 * x for x in sent], "rows": [8] * len(sent)}


def test_both_protocols_share_a_run(client: Client) -> None:
    def rest() -> Any:
        return client.answer({"instances": [10.0, 20.0]}, "/v1/models/hasty:predict")["predictions"]

    # It gathers while the thread is busy, for less than the timeout of a REST request.
    client.prediction.Predict.future(ask("hasty", "slow", x=[LONG / 8]))
    time.sleep(0.05)
    by_rest, by_grpc = together([rest, lambda: answer(client, ask("hasty", x=[1.0]))])
    assert by_rest == [{"y": 20.0, "rows": 3}, {"y": 40.0, "rows": 3}]
    assert by_grpc == {"y": [2.0], "rows": [3]}


def test_strings_are_merged_too(client: Client) -> None:
    rows = [[b"a" * 100, b""], [b"b"], [b"c", b"d", b"e" * 23, b"f", b"g"]]
    for got, sent in zip(answers(client, *(ask("patient", "texts", s=row) for row in rows)), rows, strict=True):
        assert got["s"] == [text.upper() for text in sent]
        assert set(got["rows"]) == {8}


def test_classify_and_regress_share_runs(client: Client) -> None:
    inference = load("classification_pb2"), load("regression_pb2")
    examples = load("input_pb2").Input()
    for _ in range(4):
        examples.example_list.examples.add()
    classify = inference[0].ClassificationRequest(model_spec=spec("patient", signature="classify"), input=examples)
    regress = inference[1].RegressionRequest(model_spec=spec("patient", signature="regress"), input=examples)
    found = together([lambda: client.prediction.Classify(classify, timeout=30)] * 2)
    for reply in found:
        assert [row.classes[0].score for row in reply.result.classifications] == [8.0] * 4
    found = together([lambda: client.prediction.Regress(regress, timeout=30)] * 2)
    for reply in found:
        assert [row.value for row in reply.result.regressions] == [8.0] * 4


def test_an_output_filter_has_a_queue_of_its_own(client: Client) -> None:
    busy = occupy(client, "hasty")
    all_outputs = [ask("hasty", x=[1.0]), ask("hasty", x=[2.0])]
    futures = later(client, *all_outputs, ask("hasty", outputs=["rows"], x=[3.0, 4.0, 5.0]))
    assert [array_from_proto(future.result().outputs["rows"]).tolist() for future in futures] == [[2], [2], [3] * 3]
    assert list(futures[2].result().outputs) == ["rows"]
    busy.result()


def test_a_version_without_parameters_is_not_batched(client: Client) -> None:
    assert [got["rows"] for got in answers(client, *[ask("alone", x=[1.0])] * 4)] == [[1]] * 4
    assert answer(client, ask("alone", "nothing")) == {"y": [7.0]}


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (ask("hasty", "nothing"), "INVALID_ARGUMENT", "Batching Run() must have at least one input tensor"),
        (
            ask("hasty", "matrix", x=1.0),
            "INVALID_ARGUMENT",
            "Batching Run() input tensors must have at least one dimension",
        ),
        (
            ask("hasty", "pair", a=[1.0], b=[1.0, 2.0]),
            "INVALID_ARGUMENT",
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
        (ask("hasty", x=[1.0] * 9), "INVALID_ARGUMENT", "Task size 9 is larger than maximum input batch size 8"),
        (ask("hasty", "total", x=[1.0]), "FAILED_PRECONDITION", "Batched output tensor has 0 dimensions"),
        (
            ask("hasty", "first", x=[1.0, 2.0]),
            "FAILED_PRECONDITION",
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
            "tensors",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isupper() else "",
)
def test_what_cannot_be_batched_is_refused(client: Client, request_: Any, code: str, message: str) -> None:
    assert refusal(client.predict, request_) == (code, message)


def test_no_rows_are_fine(client: Client) -> None:
    empty = ask("hasty", x=np.zeros(0, np.float32))
    assert answer(client, empty) == {"y": [], "rows": []}


def test_a_full_queue_is_unavailable(client: Client) -> None:
    busy = occupy(client, "hasty")
    [waiting] = later(client, ask("tiny", x=[1.0, 2.0]))
    code, message = refusal(client.predict, ask("tiny", x=[3.0]))
    assert code == "UNAVAILABLE"
    assert message.startswith("The batch scheduling queue to which this task was submitted is full;")
    assert array_from_proto(waiting.result().outputs["y"]).tolist() == [2.0, 4.0]
    busy.result()


def test_rows_of_other_shapes_have_a_queue_of_their_own(client: Client) -> None:
    busy = occupy(client, "hasty")
    rows = [[[1.0, 2.0]], [[3.0]], [[4.0, 5.0], [6.0, 7.0]], [[8.0]], [[[9.0]]]]
    futures = later(client, *(ask("hasty", "matrix", x=row) for row in rows))
    found = [future.result().outputs for future in futures]
    assert [array_from_proto(outputs["y"]).tolist() for outputs in found] == rows
    assert [array_from_proto(outputs["rows"]).tolist() for outputs in found] == [[3], [2], [3, 3], [2], [1]]
    busy.result()


def test_shorter_rows_are_padded_with_the_first_value(client: Client) -> None:
    short, long = answers(
        client,
        ask("variable", "matrix", x=[[5.0], [6.0]]),
        ask("variable", "matrix", x=[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    )
    assert short == {"y": [[5.0] * 3, [6.0, 5.0, 5.0]], "rows": [4, 4]}
    assert long == {"y": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "rows": [4, 4]}


def test_an_empty_tensor_among_others_is_refused_alone(client: Client) -> None:
    empty = ask("variable", "matrix", x=np.zeros((2, 0), np.float32))
    good = ask("variable", "matrix", x=[[1.0], [2.0]])
    refused, answered = together([lambda: refusal(client.predict, empty), lambda: answer(client, good)])
    assert refused == ("INVALID_ARGUMENT", "Got empty tensor in batch of non-empty tensors.")
    assert answered["y"] == [[1.0], [2.0]]


def test_a_batch_is_filled_up_to_an_allowed_size_with_the_first_row_of_the_last_request(client: Client) -> None:
    assert answer(client, ask("padded", x=[1.0])) == {"y": [2.0], "rows": [4]}
    assert answer(client, ask("padded", x=[1.0] * 5)) == {"y": [2.0] * 5, "rows": [8] * 5}
    busy = occupy(client, "hasty")
    futures = later(client, ask("padded", "all", x=[1.0]), ask("padded", "all", x=[2.0, 3.0]))
    seen = [array_from_proto(future.result().outputs["all"]).tolist() for future in futures]
    assert seen == [[[1.0, 2.0, 3.0, 2.0]], [[1.0, 2.0, 3.0, 2.0]] * 2]
    busy.result()


def test_large_requests_are_split(client: Client) -> None:
    sent = [float(x) for x in range(10)]
    assert answer(client, ask("split", x=sent)) == {"y": [2 * x for x in sent], "rows": [4] * 8 + [2] * 2}
    code, message = refusal(client.predict, ask("split", x=[1.0] * 13))
    assert (code, message) == ("INVALID_ARGUMENT", "Task size 13 is larger than maximum input batch size 12")
    # The pieces fill the room that others leave.
    busy = occupy(client, "hasty")
    one, large = later(client, ask("split", x=[1.0]), ask("split", x=[1.0] * 6))
    assert array_from_proto(one.result().outputs["rows"]).tolist() == [4]
    assert array_from_proto(large.result().outputs["rows"]).tolist() == [4] * 3 + [3] * 3
    # One piece that fails, fails the request.
    assert refusal(client.predict, ask("split", "checked", x=[1.0] * 9 + [-1.0]))[0] == "INVALID_ARGUMENT"
    busy.result()


def test_an_error_fails_only_the_request_that_caused_it(client: Client) -> None:
    rows = [[1.0], [2.0, 3.0], [-1.0], [4.0], [5.0], [6.0, 7.0]]

    def outcome(row: list[float]) -> Any:
        request = ask("patient", "checked", x=row)
        return refusal(client.predict, request) if min(row) < 0 else answer(client, request)["y"]

    outcomes = together([lambda row=row: outcome(row) for row in rows])
    code, message = outcomes.pop(2)
    assert code == "INVALID_ARGUMENT"
    assert "a negative row" in message
    assert outcomes == [row for row in rows if min(row) > 0]


def test_a_deadline_that_passes_in_the_queue(client: Client) -> None:
    busy = occupy(client, "hasty")
    reply = client.post({"instances": [1.0]}, "/v1/models/hasty:predict")
    assert reply.status_code == 429
    assert reply.json() == {"error": "Run() timeout exceeded while waiting in batching queue"}
    with pytest.raises(grpc.RpcError) as late:
        client.predict(ask("hasty", x=[1.0]), timeout=0.05)
    # The server's answer as a rule; the client's own clock on a machine where 5 ms are nothing.
    assert late.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED)
    busy.result()


def test_whose_client_is_gone_never_reaches_a_batch(client: Client) -> None:
    busy = occupy(client, "hasty")
    first, gone, last = later(client, ask("hasty", x=[1.0]), ask("hasty", x=[2.0, 3.0]), ask("hasty", x=[4.0]))
    gone.cancel()
    for future in (first, last):
        assert array_from_proto(future.result().outputs["rows"]).tolist() == [2]
    busy.result()


def test_many_clients_at_a_time_get_their_own(client: Client) -> None:
    def client_of(number: int) -> list[float]:
        return [answer(client, ask("hasty", x=[float(number), float(step)]))["y"] for step in range(25)]

    for number, got in enumerate(together([lambda number=number: client_of(number) for number in range(16)])):
        assert got == [[2.0 * number, 2.0 * step] for step in range(25)]
