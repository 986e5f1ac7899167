"""While requests stand in line, the threads of the sockets do not take a core from a run."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running_server import Models, RunningServer, model_server_config, publish

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets threads wait for others to be done")

_STEPS = 2000.0  # of the slow model: some milliseconds


def _socket_policies(server: RunningServer) -> set[int]:
    """Return how the threads that read and write sockets are scheduled."""
    policies = set()
    for thread in Path(f"/proc/{server.process.pid}/task").iterdir():
        if (thread / "comm").read_text().strip() == "tfs-io":
            policies.add(os.sched_getscheduler(int(thread.name)))
    return policies


@contextmanager
def _clients(server: RunningServer, model: str, x: float, count: int) -> Iterator[None]:
    """Keep `count` requests under way."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            assert server.predict(model, x)[0] == 1

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def start(models: Models, tmp_path: Path, launch: Callable[..., RunningServer]) -> Callable[..., RunningServer]:
    """Start a server that has the slow model and a short one."""

    def with_flags(*flags: str) -> RunningServer:
        publish(models.slow, tmp_path / "slow", 1)
        publish(models.half_plus_two, tmp_path / "short", 1)
        config = tmp_path / "models.config"
        config.write_text(model_server_config(slow=tmp_path / "slow", short=tmp_path / "short"))
        return launch(f"--model_config_file={config}", *flags).wait_until_ready()

    return with_flags


@pytest.mark.parametrize("flags", [(), ("--adaptive_batching",)], ids=["alone", "in batches"])
def test_threads_of_sockets_are_patient_as_long_as_there_is_a_line(
    start: Callable[..., RunningServer], flags: tuple[str, ...]
) -> None:
    server = start(*flags)
    assert _socket_policies(server) == {os.SCHED_OTHER}
    with _clients(server, "slow", _STEPS, 16):
        server.wait_for(lambda: _socket_policies(server) == {os.SCHED_BATCH})
        assert server.predict("slow", _STEPS) == (1, _STEPS)
    server.wait_for(lambda: _socket_policies(server) == {os.SCHED_OTHER})


def test_they_are_not_while_another_model_is_asked(start: Callable[..., RunningServer]) -> None:
    server = start()
    with _clients(server, "slow", _STEPS, 16):
        server.wait_for(lambda: _socket_policies(server) == {os.SCHED_BATCH})
        with _clients(server, "short", 3.0, 1):
            server.wait_for(lambda: _socket_policies(server) == {os.SCHED_OTHER})
        server.wait_for(lambda: _socket_policies(server) == {os.SCHED_BATCH})


def test_they_are_not_with_the_threads_of_tensorflow(start: Callable[..., RunningServer]) -> None:
    server = start("--execution=default")
    with _clients(server, "slow", _STEPS, 16):
        seen = set()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            seen |= _socket_policies(server)
        assert seen == {os.SCHED_OTHER}
