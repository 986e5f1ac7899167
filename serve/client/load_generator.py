"""A load on a server: one or several processes that make requests, and what they have measured together."""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.serve.client.load_plan import Load, Share, Step, shares_of
from tfs.serve.client.load_result import StepResult, step_result
from tfs.serve.client.load_worker import Failure, WorkerResult, work

__all__ = ["Progress", "run_step"]

# So that each process has been told when the load begins.
_HEAD_START = 0.05
_JOIN_SECONDS = 10.0

# Called with the seconds since the load began, and the requests answered well so far.
Progress = Callable[[float, int], None]


def run_step(load: Load, step: Step, processes: int, progress: Progress) -> StepResult:
    """Put one step of a load on a server and return what was measured.

    The processes are new ones, so that nothing but their own requests keeps them busy.

    Raises:
        TfsError: a process ended early.
    """
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, Any] = {}
    try:
        for share in shares_of(step, processes):
            ours, theirs = context.Pipe()
            workers[ours] = _start(context, theirs, load, share)
        for pipe in workers:
            _receive(pipe)
        start = time.monotonic() + _HEAD_START
        for pipe in workers:
            pipe.send(start)
        results = _follow(set(workers), start, progress)
    except BaseException:
        for worker in workers.values():
            worker.terminate()
        raise
    finally:
        for worker in workers.values():
            worker.join(_JOIN_SECONDS)
    begin = start + load.warmup_seconds
    elapsed = max(load.seconds, *(result.last - begin for result in results))
    latencies = np.concatenate([np.frombuffer(result.latencies) for result in results])
    return step_result(step, elapsed, latencies, _together(results), max(result.busy for result in results))


def _start(context: Any, pipe: Connection, load: Load, share: Share) -> Any:
    worker = context.Process(target=work, args=(pipe, load, share), daemon=True)
    worker.start()
    pipe.close()  # else its end would not be noticed here
    return worker


def _receive(pipe: Any) -> Any:
    try:
        return pipe.recv()
    except EOFError as error:
        raise TfsError("a process of the load generator ended early", "its message stands above") from error


def _follow(running: set[Any], start: float, progress: Progress) -> list[WorkerResult]:
    counts = dict.fromkeys(running, 0)
    results: list[WorkerResult] = []
    while running:
        for pipe in wait(list(running)):
            told = _receive(pipe)
            if isinstance(told, WorkerResult):
                results.append(told)
                running.discard(pipe)
            else:
                counts[pipe] = told
        progress(time.monotonic() - start, sum(counts.values()))
    return results


def _together(results: list[WorkerResult]) -> dict[str, Failure]:
    failures: dict[str, Failure] = {}
    for result in results:
        for code, found in result.failures.items():
            failures.setdefault(code, Failure(0, found.message)).count += found.count
    return dict(sorted(failures.items(), key=lambda item: -item[1].count))
