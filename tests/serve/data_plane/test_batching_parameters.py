"""Where the parameters of batching come from, what is refused, and what is counted."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from batching_requests import answer, ask
from clients import Client, refusal
from running_server import END, RunningServer, publish

from tfs.savedmodel.protos import load
from tfs.savedmodel.tfrecord import write_tfrecord


def test_sizes_that_contradict_each_other_fail_the_load(
    batching_model: Path, tmp_path: Path, launch: Callable[..., RunningServer]
) -> None:
    publish(batching_model, tmp_path / "m", 1)
    parameters = tmp_path / "batching.config"
    parameters.write_text("max_batch_size { value: 8 } allowed_batch_sizes: 2 allowed_batch_sizes: 4")
    server = launch(
        "--model_name=m",
        f"--model_base_path={tmp_path / 'm'}",
        "--enable_batching",
        f"--batching_parameters_file={parameters}",
        "--max_num_load_retries=0",
    )
    server.wait_for_line(
        "LOADING -> END: .*INVALID_ARGUMENT: Last entry in allowed_batch_sizes must match max_batch_size; "
        "last entry was 4; expected 8"
    )
    assert server.exit_code() == 1


@pytest.mark.parametrize(
    ("flags", "parameters", "message", "exit_code"),
    [
        (["--enable_batching"], "num_batch_threads { value: 0 }", "INVALID_ARGUMENT: num_batch_threads must be", 1),
        (["--enable_batching"], "batch_timeout_micros { value: -1 }", "INVALID_ARGUMENT: batch_timeout_micros must", 1),
        (["--enable_batching"], "max_batch_size: 8", "Error parsing text-format .*BatchingParameters", 1),
        (
            [],
            "",
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true.",
            2,
        ),
    ],
)
def test_wrong_parameters_end_the_start(
    tmp_path: Path,
    launch: Callable[..., RunningServer],
    flags: list[str],
    parameters: str,
    message: str,
    exit_code: int,
) -> None:
    (tmp_path / "m").mkdir()
    file = tmp_path / "batching.config"
    file.write_text(parameters)
    server = launch(f"--model_base_path={tmp_path / 'm'}", f"--batching_parameters_file={file}", *flags)
    server.wait_for_line(message)
    assert server.exit_code() == exit_code


def test_with_the_defaults_and_the_parameters_of_a_version_that_cannot_be_read(
    batching_model: Path, tmp_path: Path, launch: Callable[..., RunningServer]
) -> None:
    publish(batching_model, tmp_path / "m", 1)
    flags = [f"--model_base_path={tmp_path / 'm'}", "--model_name=m", "--enable_batching", "--max_num_load_retries=0"]
    with Client(launch(*flags).wait_until_ready()) as client:
        assert answer(client, ask("m", x=[1.0]))["rows"] == [1], "nobody waits with the default timeout"
        assert refusal(client.predict, ask("m", x=[1.0] * 1001))[1] == (
            "Task size 1001 is larger than maximum input batch size 1000"
        )
    server = launch(*flags, "--enable_per_model_batching_parameters").wait_until_ready()
    second = publish(batching_model, tmp_path / "m.staged", 2)
    (second / "batching_params.pbtxt").write_text("what: ever")
    second.rename(tmp_path / "m" / "2")
    server.wait_for(lambda: server.states("m").get(2) == END)
    server.wait_for_line("version 2: LOADING -> END: .*batching_params.pbtxt")


def test_warm_up_records_run_in_batches_too(
    batching_model: Path, tmp_path: Path, launch: Callable[..., RunningServer]
) -> None:
    staged = publish(batching_model, tmp_path / "staged", 1)
    log = load("prediction_log_pb2").PredictionLog()
    log.predict_log.request.CopyFrom(ask("m", x=[1.0] * 1001))
    (staged / "assets.extra").mkdir()
    with (staged / "assets.extra" / "tf_serving_warmup_requests").open("wb") as file:
        write_tfrecord(file, [log.SerializeToString()])
    flags = [f"--model_base_path={tmp_path / 'staged'}", "--model_name=m", "--max_num_load_retries=0"]
    launch(*flags).wait_until_ready()
    server = launch(*flags, "--enable_batching")
    server.wait_for_line(r"warm-up record 1 of .*: Task size 1001 is larger than maximum input batch size 1000")


# The engine by itself: it shows its metrics wherever it is told.
_COUNTING = """
import json, sys, threading, urllib.request
from tfs.serve.execution import execution_of
from tfs.serve.options import ServerOptions
from tfs.serve.tensorflow_engine import new_engine

engine = new_engine(execution_of(ServerOptions(model_base_path="/", enable_batching=True)))
parameters = {"max_batch_size": 8, "batch_timeout_micros": 2_000_000, "allowed_batch_sizes": [8]}
engine.load("m", 1, sys.argv[1], batching=parameters)
engine.route("m", [1], {})
address = engine.listen(grpc=None, rest="127.0.0.1:0", metrics_path="/metrics").rest

def ask():
    body = json.dumps({"instances": [1.0, 2.0]}).encode()
    urllib.request.urlopen(f"http://{address}/v1/models/m:predict", body).read()

for count in (4, 1):
    threads = [threading.Thread(target=ask) for _ in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
print(urllib.request.urlopen(f"http://{address}/metrics").read().decode())
"""


def test_batches_are_counted(batching_model: Path) -> None:
    command = [sys.executable, "-c", _COUNTING, str(batching_model)]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def value(name: str) -> float:
        found = re.search(rf"^:tensorflow:serving:{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, f"no {name} in {text}"
        return float(found[1])

    assert value('request_count{model_name="m",status="OK"}') == 5
    assert value("batching_session:wrapped_run_count") == 2
    assert value("batching_session:input_batch_size_count") == 5
    assert value("batching_session:input_batch_size_sum") == 10
    assert value("batching_session:processed_batch_size_sum") == 16
    assert value('batching_session:padding_size_sum{execution_batch_size="8"}') == 6
    assert value('batching_session:queuing_latency_count{thread_pool_name="batch_threads"}') == 5
    assert value('batching_session:queuing_latency_sum{thread_pool_name="batch_threads"}') > 1_900_000
    assert value('runtime_latency_count{API="Predict",model_name="m",runtime="TF1"}') == 5
