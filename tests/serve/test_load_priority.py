"""A version that is loaded beside one that serves takes no time from its requests."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from running_server import AVAILABLE, END, Models, RunningServer, publish

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps the niceness of each thread")


def _niceness(pid: int) -> dict[str, int]:
    """Return the niceness of each thread of a process, by name."""
    threads = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, fields = (thread / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue  # it has ended
        threads[name] = int(fields.split()[16])
    return threads


class _Watch:
    """Collects the names of threads that give way."""

    def __init__(self, pid: int) -> None:
        self.names: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(pid,))
        self._thread.start()

    def _run(self, pid: int) -> None:
        while not self._stop.wait(0.001):
            self.names |= {name for name, niceness in _niceness(pid).items() if niceness > 0}

    def stop(self) -> set[str]:
        self._stop.set()
        self._thread.join()
        return self.names


def test_nobody_gives_way_before_the_ports_are_open(
    models: Models, tmp_path: Path, launch: Callable[..., RunningServer]
) -> None:
    entries = []
    # More than load at the same time.
    for name in "abcdefghijkl":
        publish(models.wide, tmp_path / name, 1)
        entries.append(f'config {{ name: "{name}" base_path: "{tmp_path / name}" model_platform: "tensorflow" }}')
    config = tmp_path / "models.config"
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    server = launch(f"--model_config_file={config}")
    watch = _Watch(server.process.pid)
    try:
        server.wait_until_ready()
    finally:
        gave_way = watch.stop()
    assert gave_way == set()
    assert server.predict("l", 3.5) == (1, 3.5)


def test_loading_gives_way_and_what_serves_does_not(
    models: Models, tmp_path: Path, launch: Callable[..., RunningServer]
) -> None:
    publish(models.wide, tmp_path / "m", 1)
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--file_system_poll_wait_seconds=1")
    server = launch(*flags).wait_until_ready()
    pid = server.process.pid
    assert set(_niceness(pid).values()) == {0}, "nobody had to give way to the first version"
    watch = _Watch(pid)
    try:
        # Measured anew, on all cores too, and so loaded with a pool of its own.
        publish(models.layers, tmp_path / "m", 2)
        server.wait_for_states("m", {2: AVAILABLE, 1: END})
        publish(models.wide, tmp_path / "m", 3)
        server.wait_for_states("m", {3: AVAILABLE, 2: END, 1: END})
    finally:
        gave_way = watch.stop()
    assert "tfs-behind" in gave_way
    assert "tfs-measure" in gave_way
    assert set(_niceness(pid).values()) == {0}, "what was started for the version runs as fast as it can"
    assert server.predict("m", 3.5) == (3, 3.5)
