"""`--log_format=json`: every line on stderr is a JSON object, and every request leaves one."""

import gzip
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import grpc
import pytest
from clients import METADATA, PREDICT, STATUS, Client, refusal, request, spec
from example_requests import MODEL, classification, example, multi, task
from grpc_health.v1 import health_pb2, health_pb2_grpc
from made_models import Made
from raw_http import pipeline
from running_server import Models, RunningServer, model_server_config, publish
from tensor_protos import tensor

from tfs.savedmodel import protos

Json = dict[str, Any]


class Lines:
    """The access lines of a server, each given once."""

    def __init__(self, client: Client) -> None:
        self.client, self._seen = client, 0

    def new(self, count: int = 1) -> list[Json]:
        """Return the next `count` lines; there must be no more by then."""
        self.client.server.wait_for(lambda: len(access_lines(self.client.server)) >= self._seen + count)
        lines = access_lines(self.client.server)[self._seen :]
        assert len(lines) == count, lines
        self._seen += count
        return lines


def access_lines(server: RunningServer) -> list[Json]:
    lines = [json.loads(line) for line in list(server.lines)]
    return [line for line in lines if line["message"] == "request"]


@pytest.fixture(scope="module")
def it(made: Made, models: Models, examples_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    folder = tmp_path_factory.mktemp("access_log")
    served = {"kinds": made.kinds, MODEL: examples_model, "slow": models.slow}
    for name, saved_model in served.items():
        publish(saved_model, folder / name, 7)
    config = folder / "models.config"
    config.write_text(model_server_config(**{name: folder / name for name in served}))
    flags = (f"--model_config_file={config}", "--log-format", "json", "--drain_seconds=1")
    with RunningServer(*flags) as server, Client(server) as client:
        yield Lines(client)
    assert all(set(json.loads(line)) >= {"time", "level", "message"} for line in server.lines)


X = tensor("DT_FLOAT", [2], float_val=[2.0, 4.0])


def test_the_servers_own_lines_are_json_too(it: Lines) -> None:
    lines = [json.loads(line) for line in it.client.server.lines]
    loaded = next(line for line in lines if "LOADING -> AVAILABLE" in line["message"] and line["model"] == "kinds")
    assert (loaded["level"], loaded["version"]) == ("INFO", 7)
    moment = datetime.strptime(loaded["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    assert abs(time.time() - moment.timestamp()) < 600
    assert lines[-1]["message"].startswith("ready: grpc=")


def test_a_grpc_call_leaves_a_line(it: Lines) -> None:
    sent = request(x=X)
    before = time.time()
    reply = it.client.predict(sent)
    [line] = it.new()
    moment = datetime.strptime(line.pop("time"), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    assert before - 0.01 <= moment.timestamp() <= time.time()
    assert 0 < line.pop("duration_us") < 10e6
    assert re.fullmatch(r"127\.0\.0\.1:\d+", line.pop("peer"))
    assert line == {
        "level": "INFO",
        "message": "request",
        "protocol": "grpc",
        "method": PREDICT,
        "model": "kinds",
        "version": 7,
        "signature": "serving_default",
        "request_bytes": sent.ByteSize(),
        "response_bytes": reply.ByteSize(),
        "status": "OK",
    }


def test_a_rest_request_leaves_a_line(it: Lines) -> None:
    body = b'{"signature_name": "serving_default", "instances": [1.0, 2.0]}'
    reply = it.client.post(body)
    [line] = it.new()
    page = (Path(__file__).parents[3] / "docs" / "serve.md").read_text()
    assert list(line) == list(json.loads(page.partition("```json\n")[2].partition("```")[0])), "as the page shows it"
    assert 0 < line.pop("duration_us") < 10e6
    assert re.fullmatch(r"127\.0\.0\.1:\d+", line.pop("peer"))
    assert datetime.strptime(line.pop("time"), "%Y-%m-%dT%H:%M:%S.%fZ")
    assert line == {
        "level": "INFO",
        "message": "request",
        "protocol": "http",
        "method": "POST",
        "path": "/v1/models/kinds:predict",
        "model": "kinds",
        "version": 7,
        "signature": "serving_default",
        "request_bytes": len(body),
        "response_bytes": len(reply.content),
        "status": "OK",
        "http_status": 200,
    }


def test_bytes_are_those_of_the_network(it: Lines) -> None:
    body = gzip.compress(json.dumps({"instances": [0.1] * 5000}).encode())
    headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    with it.client.http.stream("POST", "/v1/models/kinds:predict", content=body, headers=headers) as reply:
        assert reply.headers["Content-Encoding"] == "gzip"
        packed = b"".join(reply.iter_raw())
    [line] = it.new()
    assert (line["request_bytes"], line["response_bytes"]) == (len(body), len(packed))


def test_every_method_leaves_a_line(it: Lines) -> None:
    client = it.client
    client.prediction.Classify(classification("classify", example(1.0, 2.0)))
    client.prediction.MultiInference(multi(task("classify", "classify")))
    metadata = protos.load("get_model_metadata_pb2").GetModelMetadataRequest(
        model_spec=spec(), metadata_field=["signature_def"]
    )
    client.prediction.GetModelMetadata(metadata)
    client.models.GetModelStatus(protos.load("get_model_status_pb2").GetModelStatusRequest(model_spec=spec()))
    client.answer({"signature_name": "regress", "examples": [{"x": [1.0, 2.0]}]}, f"/v1/models/{MODEL}:regress")
    client.http.get("/v1/models/kinds/versions/7/metadata")
    client.http.get("/v1/models/kinds")
    seen = [
        (line["method"].rpartition("/")[2] + line.get("path", ""), line["model"], line.get("version"), line["status"])
        for line in it.new(7)
    ]
    assert seen == [
        ("Classify", MODEL, 7, "OK"),
        ("MultiInference", MODEL, 7, "OK"),
        (METADATA.rpartition("/")[2], "kinds", 7, "OK"),
        (STATUS.rpartition("/")[2], "kinds", None, "OK"),
        (f"POST/v1/models/{MODEL}:regress", MODEL, 7, "OK"),
        ("GET/v1/models/kinds/versions/7/metadata", "kinds", 7, "OK"),
        ("GET/v1/models/kinds", "kinds", None, "OK"),
    ]


def test_refusals_leave_a_line_with_their_code(it: Lines) -> None:
    client = it.client
    refusal(client.predict, request(model_spec=spec("nope"), x=X))
    refusal(client.predict, request("missing", x=X))
    refusal(client.raw, PREDICT, b"\xff")
    refusal(client.raw, "/tensorflow.serving.PredictionService/Nothing", b"")
    for path in ("/v1/models/nope:predict", "/v1/other", "/nothing?a=b"):
        client.post({"instances": [1.0]}, path)
    client.post({"instances": ["one"]})
    seen = [
        tuple(line.get(key) for key in ("model", "version", "signature", "status", "http_status")) for line in it.new(8)
    ]
    assert seen == [
        ("nope", None, "serving_default", "NOT_FOUND", None),
        ("kinds", 7, "missing", "FAILED_PRECONDITION", None),
        (None, None, None, "INVALID_ARGUMENT", None),
        (None, None, None, "UNIMPLEMENTED", None),
        ("nope", None, "serving_default", "NOT_FOUND", 404),
        (None, None, None, "INVALID_ARGUMENT", 400),
        (None, None, None, "NOT_FOUND", 404),
        ("kinds", 7, "serving_default", "INVALID_ARGUMENT", 400),
    ]


def test_names_that_a_client_makes_up_stay_text_of_one_line(it: Lines) -> None:
    hostile = 'a"\\\n\x01é' * 100
    refusal(it.client.predict, request(model_spec=spec(hostile), x=X))
    [line] = it.new()
    assert len(line["model"].encode()) <= 200
    assert hostile.startswith(line["model"])


def test_health_checks_leave_none(it: Lines) -> None:
    stub = health_pb2_grpc.HealthStub(it.client.channel)
    stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    it.client.predict(request(x=X))
    assert it.new()[0]["method"] == PREDICT


def test_a_client_that_goes_away_leaves_a_line(it: Lines) -> None:
    endless = request(model_spec=spec("slow"), x=tensor("DT_FLOAT", [1], float_val=[3e5]))
    call = it.client.prediction.Predict.future(endless)
    time.sleep(0.1)
    call.cancel()
    [line] = it.new()
    assert (line["model"], line["status"], line["response_bytes"]) == ("slow", "CANCELLED", 0)
    with pytest.raises(grpc.RpcError):
        it.client.predict(endless, timeout=0.05)
    assert it.new()[0]["status"] in ("DEADLINE_EXCEEDED", "CANCELLED")


@pytest.fixture
def half(models: Models, tmp_path: Path) -> list[str]:
    publish(models.half_plus_two, tmp_path / "m", 1)
    return ["--model_name=m", f"--model_base_path={tmp_path / 'm'}"]


def test_every_line_is_there_after_sigterm(half: list[str], launch: Callable[..., RunningServer]) -> None:
    server = launch("--log_format=json", *half).wait_until_ready()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: server.predict("m", 2.0), range(1000)))
    assert server.stop() == 0
    assert len(access_lines(server)) == 1000
    assert json.loads(server.lines[-1])["message"] == "stopped"


def test_a_stderr_that_nobody_reads_holds_up_nobody_and_the_loss_is_told(half: list[str]) -> None:
    command = [sys.executable, "-m", "tfs.cli", "serve", "--port=-1", "--rest_api_port=-1", "--log_format=json", *half]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        ready = next(filter(None, (re.search(r"rest=(\S+) after", line) for line in process.stderr)))
        count = 25_000
        replies = pipeline(ready[1], [b"GET /v1/models/m HTTP/1.1\r\nHost: a\r\n\r\n"] * count)
        assert {reply.status for reply in replies} == {200}
        process.terminate()
        lines = [json.loads(line) for line in process.stderr]
    assert process.returncode == 0
    written = sum(line["message"] == "request" for line in lines)
    dropped = [line for line in lines if "dropped" in line]
    assert all(line["level"] == "WARNING" for line in dropped)
    assert written + sum(line["dropped"] for line in dropped) == count
    assert written < count


def test_text_has_no_lines_for_requests(half: list[str], launch: Callable[..., RunningServer]) -> None:
    server = launch(*half).wait_until_ready()
    lines = len(server.lines)
    server.predict("m", 2.0)
    server.rest_predict("m", 2.0)
    assert server.stop() == 0
    assert [line.partition("INFO  ")[2].partition(":")[0] for line in server.lines[lines:]] == ["SIGTERM", "stopped"]


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--model_base_path=/nowhere",), 1, "cannot list the base path `/nowhere`"),
        (("--model_base_path=/nowhere", "--port=0"), 2, "--port=0 leaves gRPC without a port"),
    ],
)
def test_a_start_that_fails_says_so_in_json(
    launch: Callable[..., RunningServer], flags: tuple[str, ...], code: int, message: str
) -> None:
    server = launch("--log_format=json", *flags)
    assert server.exit_code() == code
    [line] = server.lines
    assert json.loads(line)["level"] == "ERROR"
    assert json.loads(line)["message"].startswith(message)
