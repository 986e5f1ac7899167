"""What Prometheus reads, and under which names (section 12 of the reference)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import Client, refusal, request, spec
from made_models import Made
from running_server import RunningServer, publish
from tensor_protos import tensor

from tfs.savedmodel.warmup import PredictRecord, log_of_record, write_records

PATH = "/metrics/here"


@pytest.fixture(scope="module")
def monitored(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    import numpy as np

    base = tmp_path_factory.mktemp("monitored")
    publish(made.kinds, base, 7)
    record = PredictRecord("serving_default", {"x": np.ones([2], np.float32)})
    write_records(base / "7", [log_of_record(record)] * 3)
    config = base.parent / "monitoring.config"
    config.write_text(f'prometheus_config {{ enable: true path: "{PATH}" }}')
    server = RunningServer("--model_name=kinds", f"--model_base_path={base}", f"--monitoring_config_file={config}")
    try:
        with Client(server.wait_until_ready()) as client:
            yield client
        assert server.stop() == 0, server.log
    finally:
        server.process.kill()
        server.exit_code()


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


def test_without_the_flag_there_are_no_metrics(client: Client) -> None:
    assert client.http.get("/monitoring/prometheus/metrics").status_code == 404
