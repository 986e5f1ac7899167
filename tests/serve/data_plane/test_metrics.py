"""What Prometheus reads, and under which names (section 12 of the reference)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import Client, refusal, request, spec
from made_models import Made
from request_records import logging_config
from running_server import RunningServer, model_server_config, publish
from tensor_protos import tensor

from tfs.savedmodel.protos import load
from tfs.savedmodel.warmup import PredictRecord, log_of_record, write_records

PATH = "/metrics/here"
UUID = "f3a9c6b0-5a0e-4d53-9a3e-0b4d9a4c2f11"


@pytest.fixture(scope="module")
def monitored(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    import numpy as np

    folder = tmp_path_factory.mktemp("monitored")
    base = folder / "kinds"
    publish(made.kinds, base, 7)
    record = PredictRecord("serving_default", {"x": np.ones([2], np.float32)})
    write_records(base / "7", [log_of_record(record)] * 3)
    (base / "7" / "assets.extra" / "mlmd_uuid").write_text(f"{UUID}\n")
    (base / "7" / "batching_params.pbtxt").write_text("max_batch_size { value: 8 }")
    models, config = folder / "models.config", folder / "monitoring.config"
    models.write_text(model_server_config(kinds=(base, logging_config(folder / "requests"))))
    config.write_text(f'prometheus_config {{ enable: true path: "{PATH}" }}')
    with (
        RunningServer(
            f"--model_config_file={models}",
            f"--monitoring_config_file={config}",
            "--enable_batching",
            "--enable_per_model_batching_parameters",
        ) as server,
        Client(server) as client,
    ):
        yield client


def metric(client: Client, name: str, **labels: str) -> float:
    """Return the value of the one line with this name and these labels; 0 if there is none."""
    reply = client.http.get(PATH)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/plain"
    for line in reply.text.splitlines():
        found = re.fullmatch(r"([^{ ]+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name and dict(re.findall(r'(\w+)="([^"]*)"', found[2] or "")) == labels:
            return float(found[3])
    return 0.0


def test_requests_are_counted_by_model_and_status_over_both_protocols(monitored: Client) -> None:
    def count(model: str, status: str) -> float:
        return metric(monitored, ":tensorflow:serving:request_count", model_name=model, status=status)

    before = count("kinds", "OK"), count("kinds", "FAILED_PRECONDITION"), count("nope", "NOT_FOUND")
    monitored.predict(request("", x=tensor("DT_FLOAT", [1], float_val=[2.0])))
    monitored.answer({"instances": [1.0]})
    monitored.http.get("/v1/models/kinds")
    refusal(monitored.predict, request("missing"))
    monitored.post({"instances": [1.0]}, "/v1/models/nope:predict")
    refusal(monitored.predict, request("", spec("nope")))
    after = count("kinds", "OK"), count("kinds", "FAILED_PRECONDITION"), count("nope", "NOT_FOUND")
    assert [new - old for old, new in zip(before, after, strict=True)] == [3, 1, 2]


def test_latencies_of_successes_are_histograms_in_microseconds(monitored: Client) -> None:
    labels = {"model_name": "kinds", "API": "predict", "entrypoint": "REST"}
    before = metric(monitored, ":tensorflow:serving:request_latency_count", **labels)
    monitored.answer({"instances": [1.0]})
    monitored.post({"instances": "no list"})
    name = ":tensorflow:serving:request_latency"
    assert metric(monitored, f"{name}_count", **labels) == before + 1
    assert metric(monitored, f"{name}_bucket", le="+Inf", **labels) == before + 1
    assert metric(monitored, f"{name}_bucket", le="10", **labels) <= before + 1
    assert 1 < metric(monitored, f"{name}_sum", **labels) / (before + 1) < 10e6
    assert metric(
        monitored, ":tensorflow:serving:runtime_latency_count", model_name="kinds", API="Predict", runtime="TF1"
    )


def test_the_load_and_its_warm_up_are_there(monitored: Client) -> None:
    text = monitored.http.get(PATH).text
    path = re.search(r'load_attempt_count\{model_path="([^"]*)",status="success"\} 1', text)
    assert path is not None
    assert Path(path[1]).name == "7"
    assert metric(monitored, ":tensorflow:serving:model_warmup_records_read", model_path=path[1], status="OK") == 3
    assert metric(monitored, ":tensorflow:serving:model_warmup_latency_count", model_path=path[1], status="OK") == 1


def test_memory_uptime_and_requests_in_flight_are_shown(monitored: Client) -> None:
    assert metric(monitored, "process_resident_memory_bytes") > 50e6
    assert "tfs_uptime_seconds " in monitored.http.get(PATH).text
    assert 'tfs_requests_in_flight{model_name="kinds",version="7"} 0' in monitored.http.get(PATH).text


def test_a_key_of_an_ml_metadata_store_is_shown(monitored: Client) -> None:
    lines = monitored.http.get(PATH).text.splitlines()
    assert ':tensorflow:serving:mlmd_map{model_name="kinds",version="7"} 0' in lines
    assert f'tfs_mlmd_info{{mlmd_uuid="{UUID}",model_name="kinds",version="7"}} 1' in lines


def test_runs_of_the_session_are_counted(monitored: Client) -> None:
    def runs() -> tuple[float, float, float]:
        names = ("direct_session_runs", "graph_runs", "graph_run_time_usecs")
        begun, succeeded, micros = (metric(monitored, f":tensorflow:core:{name}") for name in names)
        return begun, succeeded, micros

    before = runs()
    monitored.predict(request("", x=tensor("DT_FLOAT", [1], float_val=[2.0])))
    after = runs()
    assert (after[0], after[1]) == (before[0] + 1, before[1] + 1)
    assert 0 < after[2] - before[2] < 10e6
    # MatMul refuses these shapes: a run that has begun, and no more.
    refusal(monitored.predict, request("product", x=tensor("DT_FLOAT", [1, 3], float_val=[1.0])))
    assert runs() == (after[0] + 1, after[1], after[2])


def test_the_page_names_the_metrics_that_are_there(monitored: Client) -> None:
    monitored.predict(request("", x=tensor("DT_FLOAT", [1], float_val=[2.0])))
    several = load("inference_pb2").MultiInferenceRequest(tasks=[{"model_spec": spec()}])
    several.input.example_list.examples.add()
    refusal(monitored.prediction.MultiInference, several)  # `kinds` has no such signatures; its examples are counted
    page = monitored.http.get(PATH).text
    there = set(re.findall(r"^# TYPE (\S+) ", page, re.MULTILINE))
    assert "# HELP" not in page
    page = (Path(__file__).parents[3] / "docs" / "compatibility.md").read_text()
    table = page[page.index("\n## Metrics\n") :]
    listed = dict(re.findall(r"^\| `(\S+)` \| (works|not yet) \|", table, re.MULTILINE))
    assert len(listed) > 15
    for name, status in listed.items():
        assert (name.replace("/", ":") in there) == (status == "works"), name
    # Nothing that is there is left out.
    assert {name for name in there if name.startswith(":")} <= {name.replace("/", ":") for name in listed}
    assert {name for name in there if not name.startswith(":")} <= set(re.findall(r"`(\w+)`", table))


def test_without_the_flag_there_are_no_metrics(client: Client) -> None:
    assert client.http.get("/monitoring/prometheus/metrics").status_code == 404
