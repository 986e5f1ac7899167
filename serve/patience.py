"""Threads of the sockets that interrupt no run while requests stand in line for one."""

import os
import threading
from contextlib import suppress
from pathlib import Path

from tfs.serve._engine import Engine

__all__ = ["Patience"]

_LOOK_SECONDS = 0.1
_SOCKET_THREADS = "tfs-io"
_THREADS = Path("/proc/self/task")


class Patience:
    """Watches the line of an engine, and lets the threads of its sockets wait for the end of a run if there is one.

    A request that finds others in line waits longer for its run than for being read. But a thread that wakes up to read
    it, or to write an answer, takes the core from a run at once, several times in each. So as long as requests are in
    line these threads do not (`SCHED_BATCH`, see sched(7)): they read and write when a run ends or has had its share of
    time. Not so if they run a model themselves, whose requests stand in no line, nor if the cores are busy with
    other things than runs: then they would only be late.

    Only Linux has this; elsewhere threads run as all others do, and so they do if the process was started with a policy
    of its own (`chrt`).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="patience", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
            self._thread.start()

    def stop(self) -> None:
        """Watch no longer, and keep nothing of the engine alive."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        was_patient, _, inline_runs = False, *self._engine.line()
        while not self._stopping.wait(_LOOK_SECONDS):
            before = inline_runs
            waiting, inline_runs = self._engine.line()
            patient = waiting > 0 and inline_runs == before
            if patient != was_patient:
                _schedule(os.SCHED_BATCH if patient else os.SCHED_OTHER)
                was_patient = patient


def _schedule(policy: int) -> None:
    """Set how the threads of the sockets are scheduled."""
    for thread in _THREADS.iterdir():
        with suppress(OSError):  # it has ended, or a sandbox forbids it
            if (thread / "comm").read_text().strip() == _SOCKET_THREADS:
                os.sched_setscheduler(int(thread.name), policy, os.sched_param(0))
