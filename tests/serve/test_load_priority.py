"""A version that is loaded beside one that serves takes no time from its requests."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running_server import AVAILABLE, END, Models, RunningServer, publish

from tfs.serve.giving_way import give_way, may_take_back

needs_idle_time = pytest.mark.skipif(
    sys.platform == "linux" and not may_take_back(), reason="threads may not be made as they were here (CAP_SYS_NICE)"
)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps the niceness of each thread")


IDLE, NICE, NORMAL = "takes idle time", "nice", "normal"


def _priorities(pid: int) -> list[tuple[str, str]]:
    """Return the name of each thread of a process, which others may have too, and how it is scheduled."""
    threads = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, text = (thread / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue  # it has ended
        fields = text.split()  # from the third on, as proc_pid_stat(5) counts them
        niceness, policy = int(fields[19 - 3]), int(fields[41 - 3])
        threads.append((name, IDLE if policy == os.SCHED_IDLE else NICE if niceness > 0 else NORMAL))
    return threads


@contextmanager
def _busy_cores() -> Iterator[None]:
    """Keep all cores busy with more than one process each."""
    spinning = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * len(os.sched_getaffinity(0)))
    ]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


@contextmanager
def _watching(server: RunningServer) -> Iterator[set[tuple[str, str]]]:
    """Collect the names of the server's threads that give way, and how."""
    seen: set[tuple[str, str]] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.001):
            seen.update(thread for thread in _priorities(server.process.pid) if thread[1] != NORMAL)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _wait_until_all_are_normal(server: RunningServer) -> None:
    """What has been started for a version must run as fast as it can; it is looked for now and then."""
    deadline = time.monotonic() + 30
    while slow := [thread for thread in _priorities(server.process.pid) if thread[1] != NORMAL]:
        assert time.monotonic() < deadline, slow
        time.sleep(0.01)


@pytest.fixture
def server(models: Models, tmp_path: Path, launch: Callable[..., RunningServer]) -> RunningServer:
    """A server that has version 1 of model m, and takes up others from `tmp_path / "m"`."""
    publish(models.wide, tmp_path / "m", 1)
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--file_system_poll_wait_seconds=1")
    return launch(*flags).wait_until_ready()


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
    with _watching(server) as gave_way:
        server.wait_until_ready()
    assert gave_way == set()
    assert server.predict("l", 3.5) == (1, 3.5)


def test_loading_gives_way_and_what_serves_does_not(server: RunningServer, models: Models, tmp_path: Path) -> None:
    assert {priority for _, priority in _priorities(server.process.pid)} == {NORMAL}, "nothing to give way to"
    with _watching(server) as gave_way:
        # Measured anew, on all cores too, and so loaded with a pool of its own.
        publish(models.layers, tmp_path / "m", 2)
        server.wait_for_states("m", {2: AVAILABLE, 1: END})
        publish(models.wide, tmp_path / "m", 3)
        server.wait_for_states("m", {3: AVAILABLE, 2: END, 1: END})
    assert {"tfs-behind", "tfs-measure"} <= {name for name, _ in gave_way}
    _wait_until_all_are_normal(server)
    assert server.predict("m", 3.5) == (3, 3.5)


def test_where_no_core_is_idle_a_load_is_only_nice(server: RunningServer, models: Models, tmp_path: Path) -> None:
    with _watching(server) as gave_way, _busy_cores():
        time.sleep(0.2)  # until all of them have begun
        publish(models.half_plus_two, tmp_path / "m", 2)
        server.wait_for_states("m", {2: AVAILABLE, 1: END})
    assert {how for name, how in gave_way if name == "tfs-behind"} == {NICE}
    _wait_until_all_are_normal(server)


@needs_idle_time
def test_a_thread_that_finds_no_idle_time_any_more_is_only_nice() -> None:
    begun, enough = threading.Event(), threading.Event()

    def work() -> None:
        begun.wait()
        while not enough.is_set():
            hashlib.sha256(bytes(50_000_000))  # lets other threads of Python run

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert thread.native_id is not None
        deadline = time.monotonic() + 60
        while os.sched_getscheduler(thread.native_id) != os.SCHED_IDLE and time.monotonic() < deadline:
            give_way([thread.native_id], starts_threads=False)  # again if something else kept the cores busy
        begun.set()
        with _busy_cores():
            deadline = time.monotonic() + 60
            while os.sched_getscheduler(thread.native_id) == os.SCHED_IDLE and time.monotonic() < deadline:
                time.sleep(0.05)
            assert os.sched_getscheduler(thread.native_id) == os.SCHED_OTHER
            assert os.getpriority(os.PRIO_PROCESS, thread.native_id) == 10
    finally:
        begun.set()
        enough.set()
        thread.join()


@needs_idle_time
def test_where_cores_are_idle_a_load_takes_only_that(server: RunningServer, models: Models, tmp_path: Path) -> None:
    states = {1: AVAILABLE}
    with _watching(server) as gave_way:
        # Other processes of the machine may be in the way of the first ones.
        while ("tfs-behind", IDLE) not in gave_way and len(states) < 20:
            states = dict.fromkeys(states, END) | {len(states) + 1: AVAILABLE}
            publish(models.half_plus_two, tmp_path / "m", len(states))
            server.wait_for_states("m", states)
    assert ("tfs-behind", IDLE) in gave_way
    _wait_until_all_are_normal(server)


_UNPRIVILEGED = """
import os, threading
from tfs.serve.giving_way import give_way, may_take_back

assert not may_take_back()
ended = threading.Event()
threads = [threading.Thread(target=ended.wait) for _ in range(2)]
for starts_threads, thread in enumerate(threads):
    thread.start()
    give_way([thread.native_id], bool(starts_threads))
    print(os.sched_getscheduler(thread.native_id), os.getpriority(os.PRIO_PROCESS, thread.native_id))
ended.set()
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv, which drops capabilities, is not installed")
@pytest.mark.skipif(sys.platform == "linux" and os.getuid() != 0, reason="only root has capabilities to drop")
def test_who_may_not_take_it_back_leaves_nothing_nice_behind() -> None:
    command = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice", sys.executable, "-c", _UNPRIVILEGED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (f"{os.SCHED_OTHER} 10\n{os.SCHED_OTHER} 0\n", "")
