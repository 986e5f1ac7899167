"""`tfs serve` as a process: how it starts, how it refuses to start, and how it ends."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
import pytest
from running_server import AVAILABLE, END, Models, RunningServer, publish

Launch = Callable[..., RunningServer]


def errors(server: RunningServer) -> list[str]:
    return [line for line in server.lines if line.startswith("error: ")]


def test_ready_in_time_with_both_addresses_in_one_line(models: Models, tmp_path: Path, launch: Launch) -> None:
    publish(models.half_plus_two, tmp_path, 1)
    server = launch("--model_name=m", f"--model_base_path={tmp_path}").wait_until_ready()
    assert server.predict("m", 2.0) == (1, 3.0)
    assert server.rest_predict("m", 2.0).json() == {"predictions": [3.0]}
    assert server.stop() == 0
    assert server.lines[-1].endswith("INFO  stopped")


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.4])
def test_a_load_under_way_does_not_keep_it(models: Models, tmp_path: Path, launch: Launch, seconds: float) -> None:
    """TensorFlow was taken down under it, and the process ended with SIGABRT or SIGSEGV now and then."""
    publish(models.wide, tmp_path / "m", 1)
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--file_system_poll_wait_seconds=1")
    server = launch(*flags).wait_until_ready()
    publish(models.layers, tmp_path / "m", 2)
    server.wait_for_line("version 2: START -> LOADING")
    time.sleep(seconds)
    assert server.stop() == 0
    assert server.lines[-1].endswith("INFO  stopped")


def test_pythons_tensorflow_is_never_imported(models: Models, tmp_path: Path, launch: Launch) -> None:
    publish(models.half_plus_two, tmp_path / "m", 1)
    config = tmp_path / "models.config"
    base = tmp_path / "m"
    config.write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{base}" model_platform: "tensorflow" }} }}'
    )
    server = launch(
        f"--model_config_file={config}",
        "--tensorflow_session_parallelism=1",
        environment={"PYTHONPROFILEIMPORTTIME": "1"},
    ).wait_until_ready()
    assert server.predict("m", 2.0) == (1, 3.0)
    publish(models.half_plus_three, tmp_path / "m", 2)
    server.wait_for_states("m", {2: AVAILABLE, 1: END})
    assert server.stop() == 0
    imported = {line.rsplit("|", 1)[1].strip() for line in server.lines if line.startswith("import time:")}
    assert "tfs.serve.server" in imported, "the list of imports was read"
    assert not [name for name in imported if name == "tensorflow" or name.startswith("tensorflow.python")]


def test_in_a_notebook_the_server_is_a_context_manager(models: Models, tmp_path: Path) -> None:
    publish(models.half_plus_two, tmp_path, 1)
    script = f"""
import sys, urllib.request
from tfs.serve import Server
with Server(model_name="m", model_base_path={str(tmp_path)!r}, port=-1, rest_api_port=-1) as server:
    assert server.grpc_address.startswith("127.0.0.1:")
    request = urllib.request.Request(f"http://{{server.rest_address}}/v1/models/m:predict", b'{{"instances": [2.0]}}')
    print(urllib.request.urlopen(request).read().decode())
assert "tensorflow" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"predictions": [3.0]}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_lets_the_request_under_way_finish(
    models: Models, tmp_path: Path, launch: Launch, number: signal.Signals
) -> None:
    publish(models.slow, tmp_path, 1)
    server = launch("--model_name=slow", f"--model_base_path={tmp_path}").wait_until_ready()
    steps = 400_000.0  # about a second
    answers: list[tuple[int, float]] = []
    asker = threading.Thread(target=lambda: answers.append(server.predict("slow", steps)))
    server.predict("slow", 1.0)
    asker.start()
    assert not threading.Event().wait(0.05)
    assert answers == [], "the request must still run when the signal arrives"
    server.process.send_signal(number)
    assert server.exit_code() == 0
    asker.join()
    assert answers == [(1, steps)]
    server.wait_for_line(f"{number.name}: no new requests; those under way are answered")


def test_requests_that_outlast_the_drain_are_cut_off(models: Models, tmp_path: Path, launch: Launch) -> None:
    publish(models.slow, tmp_path, 1)
    flags = ("--model_name=slow", f"--model_base_path={tmp_path}", "--drain_seconds=0.2")
    server = launch(*flags).wait_until_ready()
    codes: list[grpc.StatusCode] = []

    def ask() -> None:
        try:
            server.predict("slow", 1e9, timeout=60)
        except grpc.RpcError as error:
            codes.append(error.code())

    asker = threading.Thread(target=ask)
    server.predict("slow", 1.0)
    asker.start()
    assert not threading.Event().wait(0.2)
    server.process.terminate()
    assert server.exit_code() == 0
    asker.join()
    assert codes == [grpc.StatusCode.UNAVAILABLE]
    server.wait_for_line(r"WARNING requests were still under way after 0.2 s and were cut off")


def test_a_model_without_a_version_keeps_the_ports_closed_until_one_appears(
    models: Models, tmp_path: Path, launch: Launch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    server = launch("--model_name=m", f"--model_base_path={tmp_path}", f"--port={port}")
    server.wait_for_line("WARNING m: there is no version to serve yet")
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0
    publish(models.half_plus_two, tmp_path, 1)
    server.wait_until_ready()
    assert server.grpc_address == f"127.0.0.1:{port}"
    assert server.log.count("there is no version to serve yet") == 1
    assert server.stop() == 0


def test_a_server_that_waits_for_a_version_ends_on_sigterm(tmp_path: Path, launch: Launch) -> None:
    server = launch(f"--model_base_path={tmp_path}")
    server.wait_for_line("there is no version to serve yet")
    assert server.stop() == 0


def test_a_server_that_is_loading_ends_on_sigterm(models: Models, tmp_path: Path, launch: Launch) -> None:
    import numpy as np

    from tfs.savedmodel.warmup import PredictRecord, log_of_record, write_records

    version = publish(models.slow, tmp_path, 1)
    write_records(version, [log_of_record(PredictRecord("serving_default", {"x": np.full(1, 1e9, np.float32)}))])
    server = launch("--model_name=slow", f"--model_base_path={tmp_path}", "--drain_seconds=1")
    server.wait_for_line("START -> LOADING")
    assert not threading.Event().wait(0.5)
    assert server.stop() == 0


def test_a_model_that_cannot_be_loaded_ends_the_start(models: Models, tmp_path: Path, launch: Launch) -> None:
    version = publish(models.half_plus_two, tmp_path, 1)
    file = version / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:100])
    flags = ("--max_num_load_retries=2", "--load_retry_interval_micros=1000")
    server = launch("--model_name=m", f"--model_base_path={tmp_path}", *flags)
    assert server.exit_code() == 1
    [error] = errors(server)
    words = r"UNKNOWN: 1 servable\(s\) did not become available: {{{name: m version: 1} due to error: [A-Z_]+: .*}, }"
    assert re.fullmatch(f"error: {words}", error)
    assert error == server.lines[-1]
    assert len([line for line in server.lines if "attempt" in line]) == 3
    assert "Traceback" not in server.log


def test_wrong_tags_are_named(models: Models, tmp_path: Path, launch: Launch) -> None:
    publish(models.half_plus_two, tmp_path, 1)
    flags = ("--max_num_load_retries=0", "--saved_model_tags=serve,gpu")
    server = launch("--model_name=m", f"--model_base_path={tmp_path}", *flags)
    assert server.exit_code() == 1
    assert "Could not find meta graph def matching supplied tags: { gpu serve }" in errors(server)[0]


@pytest.mark.parametrize("flag", ["--port", "--rest_api_port"])
def test_a_port_in_use_ends_the_start(models: Models, tmp_path: Path, launch: Launch, flag: str) -> None:
    publish(models.half_plus_two, tmp_path, 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = launch("--model_name=m", f"--model_base_path={tmp_path}", f"{flag}={port}")
        assert server.exit_code() == 1
    [error] = errors(server)
    assert f"127.0.0.1:{port}" in error
    assert "choose another one with --host, --port, --rest_api_port or --grpc_socket_path" in error


def test_rest_can_be_off(models: Models, tmp_path: Path, launch: Launch) -> None:
    publish(models.half_plus_two, tmp_path, 1)
    server = launch("--model_name=m", f"--model_base_path={tmp_path}", "--rest_api_port=0").wait_until_ready()
    assert server.rest_address == "off"
    assert server.predict("m", 2.0) == (1, 3.0)
    assert server.stop() == 0


def test_equal_ports_leave_rest_off(models: Models, tmp_path: Path, launch: Launch) -> None:
    publish(models.half_plus_two, tmp_path, 1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    flags = (f"--port={port}", f"--rest_api_port={port}")
    server = launch("--model_name=m", f"--model_base_path={tmp_path}", *flags).wait_until_ready()
    assert server.rest_address == "off"
    server.wait_for_line("ERROR --rest_api_port is the same as --port: REST is off")
    assert server.stop() == 0


def test_every_interface_when_asked_for(models: Models, tmp_path: Path, launch: Launch) -> None:
    publish(models.half_plus_two, tmp_path, 1)
    server = launch("--model_name=m", f"--model_base_path={tmp_path}", "--host=0.0.0.0").wait_until_ready()
    assert server.rest_address.startswith("0.0.0.0:")
    url = f"http://127.0.0.1:{server.rest_address.rsplit(':', 1)[1]}/v1/models/m"
    assert httpx.get(url).json()["model_version_status"][0]["state"] == "AVAILABLE"
    assert server.stop() == 0


def test_warm_up_records_are_replayed_unless_switched_off(models: Models, tmp_path: Path, launch: Launch) -> None:
    import numpy as np

    from tfs.savedmodel.warmup import PredictRecord, log_of_record, warmup_file, write_records

    version = publish(models.half_plus_two, tmp_path, 1)
    record = log_of_record(PredictRecord("serving_default", {"x": np.zeros(3, np.float32)}))
    write_records(version, [record] * 12)
    server = launch("--model_name=m", f"--model_base_path={tmp_path}").wait_until_ready()
    server.wait_for_line(r"m version 1: LOADING -> AVAILABLE in \d+\.\d\d s \(12 warm-up records\)$")
    assert server.stop() == 0

    warmup_file(version).write_bytes(b"no TFRecord")
    flags = ("--model_name=m", f"--model_base_path={tmp_path}", "--max_num_load_retries=0")
    server = launch(*flags)
    assert server.exit_code() == 1
    server = launch(*flags, "--enable_model_warmup=false").wait_until_ready()
    assert server.predict("m", 2.0) == (1, 3.0)
    assert server.stop() == 0


def test_resource_preserving_unloads_first(models: Models, tmp_path: Path, launch: Launch) -> None:
    publish(models.half_plus_two, tmp_path, 1)
    flags = ("--model_name=m", f"--model_base_path={tmp_path}", "--version_transition=resource_preserving")
    server = launch(*flags).wait_until_ready()
    publish(models.half_plus_three, tmp_path, 2)
    server.wait_for_states("m", {2: AVAILABLE, 1: END})
    steps = [line.split("m version ")[1] for line in server.lines if "m version" in line]
    moves = [step for step in steps if " -> " in step]
    assert moves[2].startswith("1: AVAILABLE -> UNLOADING")
    assert moves[3].startswith("1: UNLOADING -> END")
    assert moves[4].startswith("2: START -> LOADING")
    assert server.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.parametrize(
    ("flags", "intra", "inter"),
    [
        (["--tensorflow_intra_op_parallelism=7"], 7, None),
        (["--tensorflow_session_parallelism=6", "--tensorflow_intra_op_parallelism=2"], 2, 6),
    ],
)
def test_parallelism_flags_size_tensorflows_pools(
    models: Models, tmp_path: Path, launch: Launch, flags: list[str], intra: int, inter: int | None
) -> None:
    publish(models.half_plus_two, tmp_path, 1)

    def threads(*flags: str) -> Counter[str]:
        server = launch("--model_name=m", f"--model_base_path={tmp_path}", *flags).wait_until_ready()
        assert server.predict("m", 2.0) == (1, 3.0)
        tasks = Path(f"/proc/{server.process.pid}/task")
        names = Counter(file.read_text().strip() for file in tasks.glob("*/comm"))
        assert server.stop() == 0
        return names

    usual, sized = threads("--execution=caller"), threads(*flags)
    inter_op_pool = "tf_Compute"
    assert inter is None or sized.pop(inter_op_pool) == inter
    others = usual.total() - (usual[inter_op_pool] if inter is not None else 0)
    assert sized.total() - others == intra - 1, "in the caller's thread an operation has one thread"
