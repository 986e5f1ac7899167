"""--adaptive_batching: a free thread takes what has come, and nobody waits for others."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from batching_requests import answer, answers, ask, later, occupy, together
from batching_servers import batching_client
from clients import Client, refusal
from running_server import RunningServer, publish

from tfs.savedmodel.tensors import array_from_proto

# A model is asked for long runs, which threads do, or for short ones only, which the threads do that read requests; but
# the first runs of any model are done by threads.
MODELS = {
    "threads": "max_batch_size { value: 8 } batch_timeout_micros { value: 20000000 }",
    "padded": "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8",
    "split": (
        "max_batch_size { value: 12 } max_execution_batch_size { value: 4 } "
        "enable_large_batch_splitting { value: true }"
    ),
    "tiny": "max_batch_size { value: 2 } max_enqueued_batches { value: 1 }",
    "short": "max_batch_size { value: 64 }",
    "new": "max_batch_size { value: 64 }",
    "alone": None,
}


@pytest.fixture(scope="module")
def client(batching_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("bases")
    with batching_client(batching_model, folder, MODELS, "--adaptive_batching") as client:
        yield client


def rows_of(futures: list[Any]) -> list[list[int]]:
    return [array_from_proto(future.result().outputs["rows"]).tolist() for future in futures]


def test_nobody_waits_for_others_whatever_the_timeout_is(client: Client) -> None:
    start = time.monotonic()
    for model in ("threads", "short"):
        assert answer(client, ask(model, x=[1.0, 2.0])) == {"y": [2.0, 4.0], "rows": [2, 2]}
    assert time.monotonic() - start < 10
    client.server.wait_for_line(
        "WARNING .*batching_params.pbtxt`: batch_timeout_micros has no effect with --adaptive_batching"
    )


def test_what_comes_during_a_run_leaves_together(client: Client) -> None:
    busy = occupy(client, "threads")
    futures = later(client, *(ask("threads", x=[1.0] * rows) for rows in (3, 4, 1, 2)))
    assert rows_of(futures) == [[8] * 3, [8] * 4, [8], [2] * 2]
    busy.result()


def test_requests_that_come_fast_share_runs_without_a_thread(client: Client) -> None:
    answers(client, *(ask("short", x=[1.0]) for _ in range(8)))
    for _ in range(50):
        futures = [client.prediction.Predict.future(ask("short", x=[float(n)]), timeout=30) for n in range(64)]
        assert [array_from_proto(future.result().outputs["y"])[0] for future in futures] == [2.0 * n for n in range(64)]
        if max(rows[0] for rows in rows_of(futures)) > 1:
            return
    raise AssertionError("each of 3200 requests ran alone")


def test_sizes_padding_and_splitting_mean_what_they_mean(client: Client) -> None:
    assert answer(client, ask("padded", x=[1.0])) == {"y": [2.0], "rows": [4]}
    assert answer(client, ask("padded", x=[1.0] * 5)) == {"y": [2.0] * 5, "rows": [8] * 5}
    assert answer(client, ask("split", x=[1.0] * 10)) == {"y": [2.0] * 10, "rows": [4] * 8 + [2] * 2}
    for model, size in (("padded", 8), ("split", 12)):
        too_large = f"Task size {size + 1} is larger than maximum input batch size {size}"
        assert refusal(client.predict, ask(model, x=[1.0] * (size + 1))) == ("INVALID_ARGUMENT", too_large)
    assert answer(client, ask("alone", "nothing")) == {"y": [7.0]}


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (ask("short", "nothing"), "INVALID_ARGUMENT", "Batching Run() must have at least one input tensor"),
        (
            ask("short", "pair", a=[1.0], b=[1.0, 2.0]),
            "INVALID_ARGUMENT",
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
        (ask("short", "total", x=[1.0]), "FAILED_PRECONDITION", "Batched output tensor has 0 dimensions"),
    ],
    ids=["no input", "unequal inputs", "scalar output"],
)
def test_what_cannot_be_batched_is_refused_also_if_it_comes_alone(
    client: Client, request_: Any, code: str, message: str
) -> None:
    for _ in range(20):  # the first runs are done by threads
        assert refusal(client.predict, request_) == (code, message)


def test_a_full_queue_is_unavailable(client: Client) -> None:
    busy = occupy(client, "tiny")
    [waiting] = later(client, ask("tiny", x=[1.0, 2.0]))
    assert refusal(client.predict, ask("tiny", x=[3.0]))[0] == "UNAVAILABLE"
    assert rows_of([waiting]) == [[2, 2]]
    busy.result()


@pytest.mark.parametrize("model", ["new", "short"])
def test_an_error_fails_only_the_request_that_caused_it(client: Client, model: str) -> None:
    rows = [[float(n)] if n % 5 else [-1.0] for n in range(20)]

    def outcome(row: list[float]) -> Any:
        request = ask(model, "checked", x=row)
        return refusal(client.predict, request)[0] if min(row) < 0 else answer(client, request)["y"]

    for _ in range(5):
        outcomes = together([lambda row=row: outcome(row) for row in rows])
        assert outcomes == [row if min(row) > 0 else "INVALID_ARGUMENT" for row in rows]


def test_whose_client_is_gone_never_reaches_a_batch(client: Client) -> None:
    busy = occupy(client, "threads")
    first, gone, last = later(client, ask("threads", x=[1.0]), ask("threads", x=[2.0, 3.0]), ask("threads", x=[4.0]))
    gone.cancel()
    assert rows_of([first, last]) == [[2], [2]]
    busy.result()


def test_the_flag_needs_no_other(batching_model: Path, tmp_path: Path, launch: Callable[..., RunningServer]) -> None:
    publish(batching_model, tmp_path / "m", 1)
    parameters = tmp_path / "batching.config"
    parameters.write_text("max_batch_size { value: 4 } batch_timeout_micros { value: 1000 }")
    server = launch(
        "--model_name=m",
        f"--model_base_path={tmp_path / 'm'}",
        "--adaptive_batching",
        f"--batching_parameters_file={parameters}",
    )
    with Client(server.wait_until_ready()) as client:
        assert refusal(client.predict, ask("m", x=[1.0] * 5))[1] == (
            "Task size 5 is larger than maximum input batch size 4"
        )
    server.wait_for_line(f"WARNING .*{parameters}`: batch_timeout_micros has no effect with --adaptive_batching")
