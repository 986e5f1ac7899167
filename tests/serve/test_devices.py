"""CPU or GPU: what the server says of the devices, and what it does if the one that was asked for is not there."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from running_server import Models, RunningServer, publish

Launch = Callable[..., RunningServer]

# CUDA's own way to hide the GPUs of a machine, so that these tests mean the same on every one.
NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1"}


@pytest.fixture
def flags(models: Models, tmp_path: Path) -> list[str]:
    """A model `m`, and metrics."""
    publish(models.half_plus_two, tmp_path / "m", 1)
    monitoring = tmp_path / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    return ["--model_name=m", f"--model_base_path={tmp_path / 'm'}", f"--monitoring_config_file={monitoring}"]


def device_metrics(server: RunningServer) -> list[str]:
    page = httpx.get(f"http://{server.rest_address}/monitoring/prometheus/metrics").text
    return [line for line in page.splitlines() if line.startswith("tfs_device_info")]


def test_the_devices_are_logged_and_among_the_metrics(launch: Launch, flags: list[str]) -> None:
    server = launch(*flags, "--visible_devices=0", environment=NO_GPU).wait_until_ready()
    assert server.wait_for_line(r"TensorFlow 2\.\S+ computes on (.*)")[1] == "CPU:0"
    assert "--visible_devices has no effect: there is no GPU to compute on" in server.log
    assert device_metrics(server) == ['tfs_device_info{device="CPU:0",type="CPU"} 1']
    assert server.stop() == 0


def test_a_gpu_that_is_not_there_ends_the_start_with_one_line(launch: Launch, flags: list[str]) -> None:
    server = launch(*flags, "--device=gpu", environment=NO_GPU)
    assert server.exit_code() == 1
    [line] = server.lines
    assert line.startswith("error: --device=gpu, but TensorFlow 2.")
    assert "has found no GPU, only CPU:0 (`nvidia-smi` must list a GPU, and pip install 'tensorflow[and-cuda]'" in line


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--visible_devices=GPU-0", "--visible_devices=GPU-0 is no list of GPUs (write their numbers: 0 or 0,1)"),
        ("--device=tpu", "Invalid value for '--device': 'tpu' is not one of 'auto', 'cpu', 'gpu'"),
    ],
)
def test_a_device_that_cannot_be_meant_is_wrong_usage(
    launch: Launch, flags: list[str], flag: str, message: str
) -> None:
    server = launch(*flags, flag)
    assert server.exit_code() == 2
    assert message in server.log


def _gpu_is_there() -> bool:
    try:
        return "GPU 0" in subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not _gpu_is_there(), reason="nvidia-smi lists no GPU on this machine")
def test_a_model_is_computed_on_a_gpu(launch: Launch, flags: list[str]) -> None:
    chosen = ["--device=gpu", "--visible_devices=0", "--gpu_memory_growth"]
    server = launch(*flags, *chosen).wait_until_ready()
    assert "GPU:0 (" in server.wait_for_line(r"TensorFlow 2\.\S+ computes on (.*)")[1]
    assert 'tfs_device_info{device="GPU:0",type="GPU"} 1' in device_metrics(server)
    assert server.predict("m", 2.0) == (1, 3.0)
    assert server.rest_predict("m", 2.0).json() == {"predictions": [3.0]}
    assert server.stop() == 0
    server = launch(*flags, "--device=cpu").wait_until_ready()
    assert server.wait_for_line(r"TensorFlow 2\.\S+ computes on (.*)")[1] == "CPU:0"
    assert server.stop() == 0
