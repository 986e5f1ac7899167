"""Threads of the sockets that interrupt no run while requests stand in line for one."""

import os
import threading
from contextlib import suppress
from pathlib import Path

from tfs.serve._engine import Engine

__all__ = ["Patience"]

_LOOK_SECONDS, _LOOKS = 0.1, 3
_SOCKET_THREADS = "tfs-io"
_THREADS = Path("/proc/self/task")


class Patience:
    """Watches the line of an engine, and lets the threads of its sockets wait for the end of a run if there is one.

    A request that finds others in line waits longer for its run than for being read. But a thread that wakes up to read
    it, or to write an answer, takes the core from a run at once, several times in each. So as long as requests are in
    line these threads do not (`SCHED_BATCH`, see sched(7)): they read and write when a run ends or has had its share of
    time.

    Not so if a second model is asked, whose turn may be next, nor if these threads run the model themselves, nor if the
    cores are busy with other things than runs: then requests would only be late. Nor for a line that will soon be over.

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
        is_patient, looks, before = False, 0, self._calls()[1]
        while not self._stopping.wait(_LOOK_SECONDS):
            waiting, calls = self._calls()
            asked = [call for model, call in calls.items() if call != before.get(model)]
            before = calls
            has_line = waiting > 0 and len(asked) == 1 and not any(are_inline for _, are_inline in asked)
            looks = looks + 1 if has_line else 0
            if is_patient != (looks >= _LOOKS):
                is_patient = not is_patient
                _schedule(os.SCHED_BATCH if is_patient else os.SCHED_OTHER)

    def _calls(self) -> tuple[int, dict[str, tuple[int, bool]]]:
        """Return the length of the line; and of each model how many calls it has had, and whether they need no line."""
        waiting, versions = self._engine.line()
        return waiting, {model: (count, are_inline) for model, count, are_inline in versions}


def _schedule(policy: int) -> None:
    """Set how the threads of the sockets are scheduled."""
    for thread in _THREADS.iterdir():
        with suppress(OSError):  # it has ended, or a sandbox forbids it
            if (thread / "comm").read_text().strip() == _SOCKET_THREADS:
                os.sched_setscheduler(int(thread.name), policy, os.sched_param(0))
