"""Request logs as a config switches them on and off, and their files: rotation, the bound, the end of a server."""

import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from request_records import log_files, logged, logging_config, wait_for_records
from running_server import Models, RunningServer, model_server_config, publish

from tfs.savedmodel.tfrecord import TruncatedError, read_tfrecord

Launch = Callable[..., RunningServer]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


@pytest.fixture
def start(models: Models, tmp_path: Path, launch: Launch) -> Launch:
    """Start a server with model `m` and this logging_config; metrics are at /metrics."""

    def new(log: str, *flags: str) -> RunningServer:
        publish(models.half_plus_two, tmp_path / "m", 1)
        config, monitoring = tmp_path / "models.config", tmp_path / "monitoring.config"
        config.write_text(model_server_config(m=(tmp_path / "m", log)))
        monitoring.write_text('prometheus_config { enable: true path: "/metrics" }')
        return launch(f"--model_config_file={config}", f"--monitoring_config_file={monitoring}", *flags)

    return new


def inputs(prefix: Path) -> list[float]:
    return [log.predict_log.request.inputs["x"].float_val[0] for log in logged(prefix)]


def test_a_reload_switches_the_log_on_and_elsewhere_and_off_without_loading_again(
    start: Launch, logs: Path, tmp_path: Path
) -> None:
    server = start("").wait_until_ready()
    server.predict("m", 1.0)
    server.reload(model_server_config(m=(tmp_path / "m", logging_config(logs / "a"))))
    server.predict("m", 2.0)
    server.rest_predict("m", 3.0)
    wait_for_records(logs / "a", 2)
    server.reload(model_server_config(m=(tmp_path / "m", logging_config(logs / "b"))))
    server.predict("m", 4.0)
    wait_for_records(logs / "b", 1)
    server.reload(model_server_config(m=tmp_path / "m"))
    server.predict("m", 5.0)
    assert server.stop() == 0
    assert (inputs(logs / "a"), inputs(logs / "b")) == ([2.0, 3.0], [4.0])
    assert server.log.count("LOADING -> AVAILABLE") == 1
    told = [line.partition("m: requests are ")[2] for line in server.lines if "m: requests are" in line]
    assert told == [f"logged to {logs}/a.*, 100 % of them", f"logged to {logs}/b.*, 100 % of them", "no longer logged"]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (logging_config("{logs}/m", 1.5), "The sampling_rate 1.5 of model m is not between 0 and 1"),
        (logging_config("{logs}/m", -1), "The sampling_rate -1 of model m is not between 0 and 1"),
        (logging_config("{logs}/m").replace("file", "bigquery", 1), "There is no log collector of type `bigquery`"),
        (logging_config(""), "The filename_prefix `` of model m names no file"),
        (logging_config("{logs}/"), "The filename_prefix `{logs}/` of model m names no file"),
        (
            logging_config("{logs}/none/m"),
            "The request log `{logs}/none/m` of model m cannot be written: No such file or directory",
        ),
    ],
)
def test_a_log_that_cannot_be_is_refused_at_the_start_in_one_line(
    start: Launch, logs: Path, field: str, message: str
) -> None:
    server = start(field.replace("{logs}", str(logs)))
    assert server.exit_code() == 1
    assert len(server.lines) == 1
    assert message.replace("{logs}", str(logs)) in server.log


def test_a_reload_with_a_log_that_cannot_be_changes_nothing(start: Launch, logs: Path, tmp_path: Path) -> None:
    server = start(logging_config(logs / "m")).wait_until_ready()
    refused = model_server_config(m=(tmp_path / "m", logging_config(logs / "none" / "m")))
    code, message = server.reload_refusal(refused)
    assert code == "FAILED_PRECONDITION"
    assert message.startswith(f"The request log `{logs}/none/m` of model m cannot be written: ")
    server.predict("m", 2.0)
    assert len(wait_for_records(logs / "m", 1)) == 1
    assert server.stop() == 0


def test_wrong_room_is_wrong_usage(start: Launch, logs: Path) -> None:
    server = start(logging_config(logs / "m"), "--request_log_max_bytes=0")
    assert server.exit_code() == 2
    assert server.log.startswith("error: --request_log_max_bytes=0 leaves no room")


def bytes_of(files: list[Path]) -> int:
    """Return how large the files are that have not been removed since they were listed."""
    total = 0
    for file in files:
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def test_files_rotate_and_the_oldest_make_room(start: Launch, logs: Path) -> None:
    room = 16_000
    server = start(logging_config(logs / "m"), f"--request_log_max_bytes={room}", "--enable_batching")
    server.wait_until_ready()
    most = 0
    for number in range(300):
        server.predict("m", float(number))
        most = max(most, bytes_of(log_files(logs / "m")))
    assert server.stop() == 0
    assert room / 2 < most <= room
    assert len(log_files(logs / "m")) > 4
    kept = inputs(logs / "m")
    assert kept == [float(number) for number in range(300 - len(kept), 300)], "the newest, without a gap"


def test_a_server_that_starts_again_keeps_what_is_there_within_the_bound(start: Launch, logs: Path) -> None:
    old = logs / "m.20200101T000000.000000Z.tfrecord"
    old.write_bytes(b"x" * 3000)
    (logs / "m.txt").write_bytes(b"x" * 9000)
    server = start(logging_config(logs / "m"), "--request_log_max_bytes=3200").wait_until_ready()
    server.predict("m", 2.0)
    server.wait_for(lambda: not old.exists())
    assert server.stop() == 0
    assert inputs(logs / "m") == [2.0]
    assert (logs / "m.txt").exists()


def test_sigterm_writes_everything_that_was_answered(start: Launch, logs: Path) -> None:
    server = start(logging_config(logs / "m")).wait_until_ready()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: server.predict("m", float(number)), range(1000)))
    assert server.stop() == 0
    assert sorted(inputs(logs / "m")) == [float(number) for number in range(1000)]


def test_a_killed_server_leaves_records_that_can_be_read(start: Launch, logs: Path) -> None:
    server = start(logging_config(logs / "m")).wait_until_ready()
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(server.predict, "m", float(number)) for number in range(2000)]
        wait = time.monotonic() + 30
        while not log_files(logs / "m") and time.monotonic() < wait:
            time.sleep(0.01)
        server.process.kill()
        threads.shutdown(cancel_futures=True)
    answered = sum(call.done() and not call.cancelled() and call.exception() is None for call in calls)
    [file] = log_files(logs / "m")
    count = 0
    with suppress(TruncatedError):
        for _ in read_tfrecord(file):
            count += 1
    assert 0 < count <= answered + 4, "each was answered, or was about to be"


def test_a_disk_that_fails_fails_no_request_and_is_told_once(start: Launch, logs: Path) -> None:
    server = start(logging_config(logs / "m")).wait_until_ready()
    shutil.rmtree(logs)
    for _ in range(20):
        assert server.predict("m", 2.0) == (1, 3.0)
    server.wait_for_line("ERROR the request log `.*/m` cannot be written, requests go on without it: No such file")
    logs.mkdir()

    def is_back() -> bool:
        server.predict("m", 2.0)
        return bool(log_files(logs / "m"))

    server.wait_for(is_back)
    server.wait_for_line("INFO  the request log `.*/m` is written again")
    assert server.log.count("cannot be written") == 1
    lost = re.search(
        r'request_log_count{model_name="m",status_code="UNAVAILABLE"} (\d+)',
        httpx.get(f"http://{server.rest_address}/metrics").text,
    )
    assert lost is not None
    assert int(lost[1]) >= 20
    assert server.stop() == 0
