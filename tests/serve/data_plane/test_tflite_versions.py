"""Which versions are served as TFLite models, and how they come and go."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batching_requests import answer, ask, together
from clients import Client
from running_server import AVAILABLE, END, RunningServer, model_server_config, publish

from tfs.savedmodel.warmup import PredictRecord, log_of_record, warmup_file, write_records
from tfs.serve.codes import Code

Launch = Callable[..., RunningServer]

LONG = 1e7  # counted to in about two seconds
BATCH_SECONDS = 0.3
ONCE = "--max_num_load_retries=0"

_PLATFORM_CONFIG = """
platform_configs {
  key: "tensorflow"
  value {
    source_adapter_config {
      [type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] {
        legacy_config {
          prefer_tflite_model: true
          num_tflite_pools: 2
          enable_model_warmup: true
          batching_parameters {
            max_batch_size { value: 8 } batch_timeout_micros { value: %d } num_batch_threads { value: 2 }
          }
        }
      }
    }
  }
}
"""


@pytest.fixture(scope="module")
def bases(tflite_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tflite_versions")
    for name in ("signatures", "rows", "slow"):
        publish(tflite_models / name, folder / name, 1)
    return folder


@pytest.fixture(scope="module")
def client(bases: Path) -> Iterator[Client]:
    """A server that batches and has two interpreters for each version, all told by a platform config."""
    models, platform = bases / "models.config", bases / "platform.config"
    models.write_text(model_server_config(**{name: bases / name for name in ("signatures", "rows", "slow")}))
    platform.write_text(_PLATFORM_CONFIG % (1e6 * BATCH_SECONDS))
    with (
        RunningServer(f"--model_config_file={models}", f"--platform_config_file={platform}", ONCE) as server,
        Client(server) as client,
    ):
        yield client


def put(model: bytes, base: Path, version: int, records: Path | None = None) -> None:
    """Publish a version with this TFLite file and these warm-up records."""
    staged = base.parent / f"{base.name}.{version}.staged"
    staged.mkdir(parents=True)
    (staged / "model.tflite").write_bytes(model)
    if records is not None:
        shutil.copytree(records, staged / "assets.extra")
    base.mkdir(exist_ok=True)
    staged.rename(base / str(version))


def total(client: Client) -> Any:
    return answer(client, ask("signatures", outputs=["y"], x=[[-1.0, 0.0, 0.0, 0.0]]))["y"]


def test_the_tflite_model_wins_over_the_saved_model(client: Client) -> None:
    assert max(total(client)[0]) < 100, "the SavedModel beside it adds 100"


def test_without_the_flag_it_is_not_looked_at(bases: Path, launch: Launch) -> None:
    config = bases / "plain.config"
    config.write_text(model_server_config(signatures=bases / "signatures", rows=bases / "rows"))
    server = launch(f"--model_config_file={config}")
    server.wait_for_line(r"`\S+/rows/1` is ignored: it holds no saved_model.pb$")
    server.wait_for_line("signatures version 1: LOADING -> AVAILABLE")
    assert server.stop() == 0
    assert "LiteRT" not in server.log


def test_a_directory_with_neither_model_is_no_version(client: Client, bases: Path) -> None:
    (bases / "rows" / "7").mkdir()
    client.server.wait_for_line(r"`\S+/rows/7` is ignored: it holds no saved_model.pb or model.tflite$")
    assert client.server.states("rows") == {1: AVAILABLE}


def test_requests_are_batched(client: Client) -> None:
    calls = [lambda n=n: answer(client, ask("rows", x=[float(n), float(-n)])) for n in range(4)]
    for n, found in enumerate(together(calls)):
        assert found == {"y": [n, -n], "rows": [8, 8]}


def test_as_many_requests_run_at_a_time_as_there_are_interpreters(client: Client) -> None:
    running = client.prediction.Predict.future(ask("slow", x=[LONG]), timeout=60)
    time.sleep(2 * BATCH_SECONDS)  # until it has left its queue, so that the next one is no part of its batch
    assert answer(client, ask("slow", x=[1.0])) == {"y": [1.0]}
    assert not running.done(), "the run is long enough"
    assert list(running.result().outputs["y"].float_val) == [LONG]


def test_a_version_comes_and_goes(client: Client, bases: Path, tflite_models: Path) -> None:
    record = log_of_record(PredictRecord("serving_default", {"x": np.zeros(2, np.float32)}))
    write_records(bases, [record] * 3)
    rows = (tflite_models / "rows" / "model.tflite").read_bytes()
    put(rows, bases / "rows", 2, warmup_file(bases).parent)
    client.server.wait_for_line(r"rows version 2: LOADING -> AVAILABLE in \d+\.\d\d s \(3 warm-up records\)$")
    client.server.wait_for_states("rows", {2: AVAILABLE, 1: END})
    shutil.rmtree(bases / "rows" / "2")
    client.server.wait_for_states("rows", {2: END, 1: AVAILABLE})
    assert answer(client, ask("rows", x=[1.0]))["y"] == [1.0]


def failure(server: RunningServer, model: str, version: int) -> tuple[int, str]:
    """Wait until a version has ended and return its error."""
    server.wait_for(lambda: server.states(model).get(version) == END)
    status = next(entry.status for entry in server.status(model) if entry.version == version)
    return status.error_code, status.error_message


def test_what_is_no_model_does_not_take_the_old_version_away(client: Client, bases: Path, tflite_models: Path) -> None:
    server, base = client.server, bases / "slow"
    sound = (tflite_models / "slow" / "model.tflite").read_bytes()
    for version, broken in enumerate((sound[:-1], sound[: len(sound) // 2], b"no model", b""), start=2):
        put(broken, base, version)
        code, message = failure(server, "slow", version)
        assert code == Code.INVALID_ARGUMENT
        assert message.startswith(f"`{base}/{version}/model.tflite` is no TFLite model that can be served: ")
    put((tflite_models / "unsupported" / "model.tflite").read_bytes(), base, 6)
    code, message = failure(server, "slow", 6)
    assert code == Code.INTERNAL
    assert message.startswith(f"LiteRT cannot run `{base}/6/model.tflite`: Select TensorFlow op(s)")
    server.wait_for_line(r"slow version 6: .*\(convert the model for TFLITE_BUILTINS only, or serve its SavedModel")
    write_records(bases, [log_of_record(PredictRecord("none", {"x": np.zeros(2, np.float32)}))])
    put(sound, base, 8, warmup_file(bases).parent)
    code, message = failure(server, "slow", 8)
    assert code == Code.FAILED_PRECONDITION
    assert 'Serving signature key "none" not found.' in message
    assert server.states("slow")[1] == AVAILABLE
    assert answer(client, ask("slow", x=[3.0])) == {"y": [3.0]}
    assert "Traceback" not in server.log


def test_a_server_that_is_stopped_in_the_middle_of_requests_ends_well(
    tflite_models: Path, tmp_path: Path, launch: Launch
) -> None:
    publish(tflite_models / "slow", tmp_path, 1)
    flags = (
        "--model_name=slow",
        f"--model_base_path={tmp_path}",
        "--prefer_tflite_model",
        "--drain_seconds=0.1",
        "--log_format=json",
    )
    with Client(launch(*flags).wait_until_ready()) as client:
        # Some run, some wait for an interpreter, and their threads go on for a while after the ports are closed.
        futures = [client.prediction.Predict.future(ask("slow", x=[1e5]), timeout=60) for _ in range(200)]
        while not any(future.done() for future in futures):
            time.sleep(0.01)
        assert client.server.stop() == 0, client.server.log
        assert "UNAVAILABLE" in {future.code().name for future in futures}
        # Of LiteRT there is not a word, which would not be JSON; lines of the last requests may come after this one.
        assert [json.loads(line)["message"] for line in client.server.lines].count("stopped") == 1


_HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ai_edge_litert":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""


def test_without_litert_the_load_says_how_to_install_it(bases: Path, tmp_path: Path, launch: Launch) -> None:
    (tmp_path / "sitecustomize.py").write_text(_HIDE)
    flags = ("--model_name=rows", f"--model_base_path={bases / 'rows'}", "--prefer_tflite_model", ONCE)
    server = launch(*flags, environment={"PYTHONPATH": str(tmp_path)})
    assert server.exit_code() == 1
    [error] = [line for line in server.lines if line.startswith("error: ")]
    assert "`" + str(bases / "rows" / "1" / "model.tflite") + "` needs LiteRT: No module named" in error
    assert "pip install tfs[tflite]" in error
    assert "Traceback" not in server.log


def test_litert_does_not_bring_tensorflows_python_package(tflite_models: Path) -> None:
    import subprocess
    import sys

    code = """if True:
        import json, sys
        from tfs.serve.tflite import TfliteModel
        model = TfliteModel(sys.argv[1], 2)
        print(json.dumps([model.slots, "tensorflow" in sys.modules]))
    """
    command = [sys.executable, "-c", code, str(tflite_models / "rows")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [2, False]
