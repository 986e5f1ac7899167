"""How versions are executed: what `--execution` says, and what is measured when it says `auto`."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from running_server import AVAILABLE, END, Models, RunningServer, model_server_config, publish

from tfs.savedmodel.protos import load
from tfs.savedmodel.warmup import PredictRecord, log_of_record, write_records
from tfs.serve.example_request import example_request

_METRICS = "/monitoring/prometheus/metrics"
_FIGURES = r"\d+\.\d{3} ms alone, \d+/s by \d+ callers(; \w+ \d+\.\d{3} ms, \d+/s)+"

several_cores = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one core there is nothing to choose")


def monitored(folder: Path) -> str:
    path = folder / "monitoring.config"
    path.write_text("prometheus_config { enable: true }")
    return f"--monitoring_config_file={path}"


def plans(server: RunningServer) -> dict[tuple[str, str], str]:
    """Return the plan of each version that the metrics show, by model and version."""
    text = httpx.get(f"http://{server.rest_address}{_METRICS}").text
    lines = re.findall(r"^tfs_execution_plan\{(.*)\} 1$", text, re.MULTILINE)
    labels = [dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in lines]
    return {(found["model_name"], found["version"]): found["plan"] for found in labels}


def add_records(version: Path, *values: float) -> None:
    records = [PredictRecord("serving_default", {"x": np.array([value], np.float32)}) for value in values]
    write_records(version, [log_of_record(record) for record in records])


@pytest.fixture(scope="module")
def server(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Measures the plans of one version of each model."""
    folder = tmp_path_factory.mktemp("plans")
    saved = {name: getattr(models, name) for name in ("half_plus_two", "counter", "picky", "wide", "layers")}
    versions = {name: publish(path, folder / name, 1) for name, path in saved.items()}
    add_records(versions["layers"], 1.0, 2.0, 3.0)
    counted = publish(models.counter, folder / "counter_with_records", 1)
    add_records(counted, 5.0, 5.0)
    config = folder / "models.config"
    config.write_text(model_server_config(**{path.name: path for path in folder.iterdir() if path.is_dir()}))
    with RunningServer(f"--model_config_file={config}", monitored(folder)) as server:
        yield server


def reason(server: RunningServer, model: str) -> str:
    return server.wait_for_line(rf" {model} version 1: execution plan (.*)")[1]


@pytest.mark.parametrize(
    ("mode", "plan"), [("caller", "caller_intra_1"), ("pool", "pool_intra_1"), ("default", "pool_intra_all")]
)
def test_a_plan_that_is_asked_for_is_taken_unmeasured(
    models: Models, tmp_path: Path, launch: Callable[..., RunningServer], mode: str, plan: str
) -> None:
    publish(models.half_plus_two, tmp_path / "m", 1)
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}", f"--execution={mode}", monitored(tmp_path))
    server = launch(*flags).wait_until_ready()
    assert server.predict("m", 2.0) == (1, 3.0)
    assert reason(server, "m") == plan
    assert plans(server) == {("m", "1"): plan}


def test_a_flag_about_threads_wins(models: Models, tmp_path: Path, launch: Callable[..., RunningServer]) -> None:
    publish(models.half_plus_two, tmp_path / "m", 1)
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--tensorflow_intra_op_parallelism=3")
    server = launch(*flags, monitored(tmp_path)).wait_until_ready()
    assert server.predict("m", 2.0) == (1, 3.0)
    server.wait_for_line(r"--execution=auto measures nothing: the config of sessions has intra_op_parallelism_threads$")
    assert reason(server, "m") == "caller_intra_3"
    assert plans(server) == {("m", "1"): "caller_intra_3"}


@several_cores
def test_what_was_measured_and_chosen_stands_in_the_log_and_the_metrics(server: RunningServer) -> None:
    found = re.fullmatch(
        rf"(\w+): caller_intra_1 {_FIGURES} \(generated input, measured in (.*) s\)", reason(server, "half_plus_two")
    )
    assert found
    assert found[1] in ("caller_intra_1", "pool_intra_1")
    assert plans(server)["half_plus_two", "1"] == found[1]
    assert float(found[3]) < 5
    assert server.predict("half_plus_two", 2.0) == (1, 3.0)


@several_cores
def test_warm_up_records_are_measured_if_there_are_any(server: RunningServer) -> None:
    assert re.search(rf": caller_intra_1 {_FIGURES} \(3 warm-up records, measured in .* s\)$", reason(server, "layers"))


@several_cores
def test_long_operations_are_tried_on_all_cores(server: RunningServer) -> None:
    cores = os.cpu_count()
    line = reason(server, "wide")
    tried = re.findall(r"(\w+_intra_\d+) \d+\.\d{3} ms", line)
    assert tried == ["caller_intra_1", "pool_intra_1", f"caller_intra_{cores}", f"pool_intra_{cores}"]
    assert plans(server)["wide", "1"] == line.split(":")[0]
    assert server.predict("wide", 3.5) == (1, 3.5)


@several_cores
@pytest.mark.parametrize(("model", "replayed"), [("counter", 0), ("counter_with_records", 2)])
def test_a_model_with_a_state_is_not_run_for_measuring(server: RunningServer, model: str, replayed: int) -> None:
    assert reason(server, model) == "caller_intra_1 (not measured: its runs may change the model's state)"
    assert server.predict(model, 10.0) == (1, 10.0 + replayed + 1)


@several_cores
def test_a_model_that_refuses_what_is_generated_is_served_all_the_same(server: RunningServer) -> None:
    assert reason(server, "picky") == "caller_intra_1 (not measured: no inputs that run)"
    assert server.predict("picky", 3.0) == (1, 3.0)


@several_cores
def test_measuring_ends_although_a_run_does_not(
    models: Models, tmp_path: Path, launch: Callable[..., RunningServer]
) -> None:
    publish(models.endless, tmp_path / "m", 1)
    server = launch("--model_name=m", f"--model_base_path={tmp_path / 'm'}").wait_until_ready()
    assert reason(server, "m") == "caller_intra_1 (not measured: a run takes too long)"
    assert float(server.wait_for_line(r"LOADING -> AVAILABLE in (\d+\.\d\d) s")[1]) < 10


@several_cores
def test_a_version_that_was_only_trained_again_takes_over_the_plan(
    models: Models, tmp_path: Path, launch: Callable[..., RunningServer]
) -> None:
    publish(models.wide, tmp_path / "m", 1)
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--file_system_poll_wait_seconds=1")
    server = launch(*flags, monitored(tmp_path)).wait_until_ready()
    chosen = reason(server, "m").split(":")[0]
    publish(models.wide, tmp_path / "m", 2)
    server.wait_for_line(rf" m version 2: execution plan {chosen} \(as measured for version 1\)$")
    server.wait_for_states("m", {2: AVAILABLE, 1: END})
    assert plans(server) == {("m", "2"): chosen}
    assert server.predict("m", 3.5) == (2, 3.5)
    publish(models.layers, tmp_path / "m", 3)
    server.wait_for_line(
        rf" m version 3: execution plan \w+: caller_intra_1 {_FIGURES} \(generated input, measured in "
    )


def test_a_version_that_is_gone_has_no_plan(
    models: Models, tmp_path: Path, launch: Callable[..., RunningServer]
) -> None:
    publish(models.half_plus_two, tmp_path / "m", 1)
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--file_system_poll_wait_seconds=1")
    server = launch(*flags, "--execution=caller", monitored(tmp_path)).wait_until_ready()
    publish(models.half_plus_three, tmp_path / "m", 2)
    server.wait_for_states("m", {2: AVAILABLE, 1: END})
    assert plans(server) == {("m", "2"): "caller_intra_1"}


def test_an_example_request_has_one_row_of_what_the_signature_takes() -> None:
    definition = load("meta_graph_pb2").SignatureDef()
    for alias, dtype, sizes in [("ids", 9, (-1, 3)), ("words", 7, (-1,))]:
        definition.inputs[alias].dtype = dtype
        for size in sizes:
            definition.inputs[alias].tensor_shape.dim.add(size=size)
    request = load("predict_pb2").PredictRequest.FromString(example_request("s", definition.SerializeToString()))
    assert request.model_spec.signature_name == "s"
    assert [dim.size for dim in request.inputs["ids"].tensor_shape.dim] == [1, 3]
    assert len(request.inputs["words"].string_val) == 1


def test_an_example_request_is_no_larger_than_it_has_to_be() -> None:
    definition = load("meta_graph_pb2").SignatureDef()
    definition.inputs["x"].dtype = 1
    for size in (-1, 8192, 8192):
        definition.inputs["x"].tensor_shape.dim.add(size=size)
    with pytest.raises(Exception, match="an input for signature `s` has 256 MiB"):
        example_request("s", definition.SerializeToString())
