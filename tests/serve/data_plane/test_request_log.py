"""What stands in a request log: one PredictionLog for each request that was drawn and succeeded."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clients import Client, refusal, request, spec
from example_requests import MODEL, classification, example, examples_input, multi, regression, task
from made_models import Made
from request_records import log_files, logged, logging_config, wait_for_records
from running_server import AVAILABLE, END, Models, RunningServer, model_server_config, publish
from tensor_protos import tensor

from tfs.savedmodel import protos
from tfs.savedmodel.tensors import array_from_proto

METRICS = "/metrics"


@dataclass
class Logged:
    """A server whose models log: `kinds` and `examples` everything, `half` every other request, `zero` none."""

    client: Client
    logs: Path

    def new(self, model: str, count: int = 1) -> list[Any]:
        """Return the `count` records that are there beyond those seen so far."""
        seen, self.seen = self.seen, self.seen | {model: self.seen.get(model, 0) + count}
        return wait_for_records(self.logs / model, self.seen[model])[seen.get(model, 0) :]

    def __post_init__(self) -> None:
        self.seen: dict[str, int] = {}

    def outcomes(self, model: str) -> dict[str, int]:
        """Return what the counter says of a model's records, by status code."""
        prefix = f':tensorflow:serving:request_log_count{{model_name="{model}",status_code="'
        lines = [line for line in self.client.http.get(METRICS).text.splitlines() if line.startswith(prefix)]
        return {line.removeprefix(prefix).partition('"')[0]: int(line.rpartition(" ")[2]) for line in lines}


@pytest.fixture(scope="module")
def it(made: Made, models: Models, examples_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("request_log")
    logs = folder / "logs"
    logs.mkdir()
    served = {"kinds": made.kinds, MODEL: examples_model, "half": models.half_plus_two, "zero": models.half_plus_two}
    rates = {"half": 0.5, "zero": 0.0}
    entries: dict[str, tuple[Path, str]] = {}
    for name, saved_model in served.items():
        publish(saved_model, folder / name, 7)
        entries[name] = (folder / name, logging_config(logs / name, rates.get(name, 1.0), "attributes: 1"))
    config, monitoring = folder / "models.config", folder / "monitoring.config"
    config.write_text(model_server_config(**entries))
    monitoring.write_text(f'prometheus_config {{ enable: true path: "{METRICS}" }}')
    with (
        RunningServer(f"--model_config_file={config}", f"--monitoring_config_file={monitoring}") as server,
        Client(server) as client,
    ):
        yield Logged(client, logs)


X = tensor("DT_FLOAT", [2], float_val=[2.0, 4.0])


def test_a_predict_request_stands_there_as_it_was_sent_and_answered(it: Logged) -> None:
    before = time.time()
    sent = request(model_spec=spec(version=7), x=X)
    reply = it.client.predict(sent)
    [log] = it.new("kinds")
    assert log.predict_log.request == sent
    assert log.predict_log.response == reply
    metadata = log.log_metadata
    effective = (metadata.model_spec.name, metadata.model_spec.version.value, metadata.model_spec.signature_name)
    assert effective == ("kinds", 7, "serving_default")
    assert (metadata.sampling_config.sampling_rate, metadata.sampling_config.attributes) == (1.0, 1)
    assert list(metadata.saved_model_tags) == ["serve"]
    assert int(before) <= metadata.timestamp_secs <= time.time()


def test_the_methods_on_examples_stand_there_too(it: Logged) -> None:
    prediction = it.client.prediction
    sent = (
        classification("classify", example(1.0, 2.0)),
        regression("regress", example(1.0, 2.0)),
        multi(task("classify", "classify"), task("regress", "regress")),
    )
    replies = prediction.Classify(sent[0]), prediction.Regress(sent[1]), prediction.MultiInference(sent[2])
    logs = it.new(MODEL, 3)
    kinds = ["classify_log", "regress_log", "multi_inference_log"]
    assert [log.WhichOneof("log_type") for log in logs] == kinds
    for kind, log, request_, reply in zip(kinds, logs, sent, replies, strict=True):
        assert (getattr(log, kind).request, getattr(log, kind).response) == (request_, reply)
    assert [log.log_metadata.model_spec.signature_name for log in logs] == ["classify", "regress", ""]


def test_a_session_run_stands_there_too(it: Logged) -> None:
    messages = protos.load("session_service_pb2")
    definitions = it.client.http.get("/v1/models/kinds/metadata").json()["metadata"]["signature_def"]["signature_def"]
    default = definitions["serving_default"]
    sent = messages.SessionRunRequest(model_spec=spec(), fetch=[default["outputs"]["y"]["name"]])
    sent.feed.add(name=default["inputs"]["x"]["name"]).tensor.CopyFrom(X)
    reply = it.client.raw("/tensorflow.serving.SessionService/SessionRun", sent.SerializeToString())
    [log] = it.new("kinds")
    assert log.session_run_log.request == sent
    assert (
        log.session_run_log.response.SerializeToString()
        == messages.SessionRunResponse.FromString(reply).SerializeToString()
    )


@pytest.mark.parametrize("body", [{"instances": [2.0, 4.0]}, {"inputs": {"x": [2.0, 4.0]}}], ids=["rows", "columns"])
def test_a_rest_predict_stands_there_as_if_it_had_come_over_grpc(it: Logged, body: Any) -> None:
    it.client.answer(body)
    [log] = it.new("kinds")
    logged_request, response = log.predict_log.request, log.predict_log.response
    over_grpc = it.client.predict(logged_request)
    it.new("kinds")
    assert {name: array_from_proto(proto).tolist() for name, proto in logged_request.inputs.items()} == {"x": [2, 4]}
    assert logged_request.model_spec.name == "kinds"
    assert response == over_grpc
    assert log.log_metadata.model_spec.signature_name == "serving_default"


def test_rest_examples_stand_there_merged_with_their_context(it: Logged) -> None:
    body = {"signature_name": "regress", "context": {"x": [5.0, 6.0]}, "examples": [{}, {"x": [1.0, 2.5]}]}
    assert it.client.answer(body, f"/v1/models/{MODEL}:regress") == {"results": [11.0, 3.5]}
    it.client.answer({"signature_name": "classify", "examples": [{"x": [1.0, 2.0]}]}, f"/v1/models/{MODEL}:classify")
    regress, classify = it.new(MODEL, 2)
    assert [r.value for r in regress.regress_log.response.result.regressions] == [11.0, 3.5]
    assert regress.log_metadata.model_spec.signature_name == "regress"
    assert classify.classify_log.request.input == examples_input(example(1.0, 2.0))
    [row] = classify.classify_log.response.result.classifications
    assert [(c.label, c.score) for c in row.classes] == [("low", 1.0), ("high", 2.0)]
    # What was logged can be asked again: the same answer.
    replies = (
        it.client.prediction.Regress(regress.regress_log.request),
        it.client.prediction.Classify(classify.classify_log.request),
    )
    assert replies == (regress.regress_log.response, classify.classify_log.response)
    it.new(MODEL, 2)


def test_what_fails_does_not_stand_there_and_what_succeeds_is_counted(it: Logged) -> None:
    before = it.outcomes("kinds")
    assert refusal(it.client.predict, request("missing", x=X))[0] == "FAILED_PRECONDITION"
    assert refusal(it.client.predict, request(x=tensor("DT_INT32", [1], int_val=[1])))[0] == "INVALID_ARGUMENT"
    assert it.client.post({"instances": ["one"]}).status_code == 400
    it.client.http.get("/v1/models/kinds")
    sent = request(x=tensor("DT_FLOAT", [1], float_val=[8.0]))
    it.client.predict(sent)
    [log] = it.new("kinds")
    assert log.predict_log.request == sent
    assert it.outcomes("kinds") == {"OK": before.get("OK", 0) + 1}


def test_a_new_version_is_warmed_up_with_what_was_logged(it: Logged, made: Made, examples_model: Path) -> None:
    for name, saved_model in {"kinds": made.kinds, MODEL: examples_model}.items():
        staged = publish(saved_model, it.logs.parent / "staged" / name, 8)
        command = [sys.executable, "-m", "tfs.cli", "warmup", str(staged), "--from-log", str(it.logs / name), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        records = json.loads(done.stdout)["records"]
        logs = logged(it.logs / name)
        kinds = [log.WhichOneof("log_type") for log in logs]
        requests = {(kind, str(getattr(log, kind).request)) for kind, log in zip(kinds, logs, strict=True)}
        # What was asked more than once is replayed once.
        assert records == len([kind for kind, _ in requests if kind != "session_run_log"]) > 2
        assert ("session_run record(s) are left out" in done.stderr) == ("session_run_log" in kinds)
        staged.rename(it.logs.parent / name / "8")
        replayed = rf"\({records} warm-up records\)"
        it.client.server.wait_for_line(rf"{name} version 8: LOADING -> AVAILABLE in \S+ s {replayed}")
        it.client.server.wait_for_states(name, {8: AVAILABLE, 7: END})
        assert sum(it.outcomes(name).values()) == len(kinds), "the replay is not logged"


def test_the_sampling_rate_is_a_probability(it: Logged) -> None:
    for number in range(400):
        it.client.predict(request(model_spec=spec("half"), x=tensor("DT_FLOAT", [1], float_val=[number])))
        if number < 50:
            it.client.predict(request(model_spec=spec("zero"), x=X))
    # Seven standard deviations to either side.
    deadline = time.monotonic() + 10
    while sum(it.outcomes("half").values()) != len(logged(it.logs / "half")):
        assert time.monotonic() < deadline
    drawn = [log.predict_log.request.inputs["x"].float_val[0] for log in logged(it.logs / "half")]
    assert 130 < len(drawn) < 270
    assert drawn == sorted(set(drawn)), "in the order in which they came, each once"
    assert (log_files(it.logs / "zero"), it.outcomes("zero")) == ([], {"OK": 0})
