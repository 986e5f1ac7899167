"""Threads that load let those go first that answer requests."""

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["give_way", "may_come_back"]

_NICENESS = 10
_IDLE_SHARE = 0.1  # what a thread of that niceness gets where another one wants the same core
_STARVED_SHARE = 0.03
_SAMPLE_SECONDS, _WATCH_SECONDS = 0.1, 1.0


def give_way(threads: Sequence[int]) -> None:
    """Let other threads run before these, and before those that they will start, for good.

    Where cores are idle they take nothing but idle time (`SCHED_IDLE`): whatever wakes up takes their place at once.
    That is not so with niceness alone, and a request is answered by threads that wake each other. Where there is no
    idle time, or none any more, that could mean for ever; then they are nice, and get a tenth of a core. Who may not
    leave `SCHED_IDLE` again (sched(7): without CAP_SYS_NICE or an RLIMIT_NICE of 10) is nice from the beginning.

    Only Linux keeps these for each thread; elsewhere threads run as all others do.

    Args:
        threads: native ids of threads of this process, not the calling one: it would hold Python's lock for as long as
            it waits for idle time.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):
        takes_idle_time = _idle_share() >= _IDLE_SHARE and may_come_back()
        for thread in threads:
            os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)
            if takes_idle_time:
                os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
                threading.Thread(target=_rescue, args=(thread,), daemon=True).start()


def _rescue(thread: int) -> None:
    """Wait for the end of a thread that takes idle time; if it finds none, make it one that is only nice."""
    with suppress(OSError):  # it has ended
        _, used = _state_and_seconds(thread)
        while True:
            time.sleep(_WATCH_SECONDS)
            before = used
            state, used = _state_and_seconds(thread)
            if state == "R" and used - before < _STARVED_SHARE * _WATCH_SECONDS:
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
                return


def _state_and_seconds(thread: int) -> tuple[str, float]:
    """Return whether a thread runs or wants to (R), or what else it does, and how long it has run."""
    fields = Path(f"/proc/self/task/{thread}/stat").read_text().rsplit(")", 1)[1].split()  # see proc_pid_stat(5)
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@cache
def may_come_back() -> bool:
    """Whether a thread of this process may leave `SCHED_IDLE`: one that tries it may have to stay there."""
    came_back: list[bool] = []

    def go_and_come_back() -> None:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            came_back.append(True)

    thread = threading.Thread(target=go_and_come_back)
    thread.start()
    thread.join()
    return bool(came_back)


def _idle_share() -> float:
    """Return which part of the time the cores that this process may use are idle."""
    cores = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    idle, total = _idle_and_total(cores)
    time.sleep(_SAMPLE_SECONDS)
    idle_then, total_then = _idle_and_total(cores)
    return (idle_then - idle) / max(total_then - total, 1)


def _idle_and_total(cores: set[str]) -> tuple[int, int]:
    """Return the time that `cores` were idle, and all of their time, in ticks (proc_stat(5))."""
    idle = total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *columns = line.split()
        if name in cores:
            # A guest's time, which comes after these, is counted as the user's too.
            ticks = [int(column) for column in columns[:8]]
            idle += ticks[3] + ticks[4]  # the second one waiting for a disk
            total += sum(ticks)
    return idle, total
