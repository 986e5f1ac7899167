"""Threads that load let those go first that answer requests."""

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["give_way", "may_take_back"]

_NICER = 10
_IDLE_SHARE = 0.1  # what a thread that is so much nicer gets where another one wants the same core
_STARVED_SHARE = 0.03
_SAMPLE_SECONDS, _LOOK_SECONDS, _STARVED_SECONDS = 0.1, 0.05, 1.0
_THREADS = Path("/proc/self/task")

_giving_way: set[int] = set()


def give_way(threads: Sequence[int], starts_threads: bool) -> None:
    """Let other threads run before these, for as long as they live.

    Where cores are idle they take nothing but idle time (`SCHED_IDLE`): whatever wakes up takes their place at once.
    That is not so with niceness alone, and a request is answered by threads that wake each other. Where there is no
    idle time, or none any more, that could mean for ever; then they are nice, and get a tenth of a core.

    Threads inherit all this, and what starts during a load runs the version later: it is made as it was when they end.
    Not everybody may do that (sched(7): it takes CAP_SYS_NICE or an RLIMIT_NICE of 20). Who may not has no thread give
    way that `starts_threads`, and the others are nice only.

    Only Linux keeps these for each thread; elsewhere threads run as all others do.

    Args:
        threads: native ids of threads of this process, not the calling one: it would hold Python's lock for as long as
            it waits for idle time.
        starts_threads: whether they may start threads that stay.
    """
    if sys.platform != "linux" or _usual() + _NICER > 19:
        return
    with suppress(OSError):
        if may_take_back():
            takes_idle_time = _idle_share() >= _IDLE_SHARE
            for thread in threads:
                _giving_way.add(thread)
                os.setpriority(os.PRIO_PROCESS, thread, _usual() + _NICER)
                if takes_idle_time:
                    os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
                threading.Thread(target=_look_after, args=(thread,), daemon=True).start()
        elif not starts_threads:
            for thread in threads:
                os.setpriority(os.PRIO_PROCESS, thread, _usual() + _NICER)


def _look_after(thread: int) -> None:
    """Make a thread that finds no idle time only nice, and once it has ended, what it has started as it was."""
    with suppress(OSError):  # it has ended
        since, (_, used) = time.monotonic(), _state_and_seconds(thread)
        while True:
            time.sleep(_LOOK_SECONDS)
            if time.monotonic() - since < _STARVED_SECONDS:
                _state_and_seconds(thread)
                continue
            since, before, (state, used) = time.monotonic(), used, _state_and_seconds(thread)
            if state == "R" and used - before < _STARVED_SHARE * _STARVED_SECONDS:
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
    _giving_way.discard(thread)
    for other in map(int, os.listdir(_THREADS)):
        with suppress(OSError):
            if other not in _giving_way and os.getpriority(os.PRIO_PROCESS, other) == _usual() + _NICER:
                _make_usual(other)


def _state_and_seconds(thread: int) -> tuple[str, float]:
    """Return whether a thread runs or wants to (R), or what else it does, and how long it has run."""
    fields = (_THREADS / str(thread) / "stat").read_text().rsplit(")", 1)[1].split()  # see proc_pid_stat(5)
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _usual() -> int:
    """Return the niceness of threads that do not give way: the main thread's."""
    return os.getpriority(os.PRIO_PROCESS, os.getpid())


def _make_usual(thread: int) -> None:
    os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, thread, _usual())


@cache
def may_take_back() -> bool:
    """Return whether a thread of this process may be made as it was: one that tries it may have to stay nice."""
    taken_back: list[bool] = []

    def give_way_and_take_back() -> None:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _usual() + _NICER)
            _make_usual(threading.get_native_id())
            taken_back.append(True)

    thread = threading.Thread(target=give_way_and_take_back)
    thread.start()
    thread.join()
    return bool(taken_back)


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
