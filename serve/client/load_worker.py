"""A process that makes requests: an event loop, each request a task of it.

A request counts if it began, or in an open loop became due, within the time that is measured. In an open loop its
latency is that from the moment at which it was due: a server, or this process, that is late with one request cannot
hide that those behind it wait as well.
"""

import asyncio
import gc
import itertools
import time
from array import array
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfs.serve.client.load_plan import Load, Share

__all__ = ["Failure", "Share", "WorkerResult", "work"]

_MAX_UNDER_WAY = 10_000  # of an open loop; who comes later waits here, which its latency counts
_MAX_REST_CONNECTIONS = 256  # files that are open at a time
_TICK_SECONDS = 0.25
_CONNECT_SECONDS = 5.0
_SCHEDSTAT = Path("/proc/thread-self/schedstat")  # nanoseconds on a processor, and waiting for one

# Sends a request; None if it was answered well, else code and message.
_Call = Callable[[bytes], Awaitable[tuple[str, str] | None]]


@dataclass
class Failure:
    """Requests that failed in the same way, with the first one's message."""

    count: int
    message: str


@dataclass
class WorkerResult:
    """What a process has measured.

    Attributes:
        latencies: seconds of the requests that were answered well, float64.
        failures: of the others by code: gRPC's names, HTTP's numbers, or what went wrong with the connection.
        last: when the last answer came, by `time.monotonic()`.
        busy: the part of the time for which its event loop computed, or waited for a processor to do so.
    """

    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    failures: dict[str, Failure] = field(default_factory=dict)
    last: float = 0.0
    busy: float = 0.0

    def note(self, latency: float, failed: tuple[str, str] | None) -> None:
        """Count a request that has just ended."""
        if failed is None:
            self.latencies.append(latency)
            return
        code, message = failed
        self.failures.setdefault(code, Failure(0, message)).count += 1


def work(pipe: Any, load: Load, share: Share) -> None:
    """Do a share of a step: say that it could begin, be told when, tell how far it is, and what was measured.

    Through `pipe` go out None, then any number of counts of well-answered requests, then a `WorkerResult`; in comes
    the start by `time.monotonic()`.
    """
    with suppress(KeyboardInterrupt):  # the process that started this one says so
        asyncio.run(_work(pipe, load, share))


async def _work(pipe: Any, load: Load, share: Share) -> None:
    async with AsyncExitStack() as stack:
        call = await _open(load, share, stack)
        gc.freeze()  # so that a collection does not go through all modules in the middle of a measurement
        pipe.send(None)
        start = await asyncio.to_thread(pipe.recv)
        result = WorkerResult(last=start)
        ticking = asyncio.create_task(_tell(pipe, result))
        await asyncio.sleep(start - time.monotonic())
        run = _closed_loop if share.step.rate is None else _open_loop
        await run(call, load, share, start, result)
        ticking.cancel()
    pipe.send(result)


async def _tell(pipe: Any, result: WorkerResult) -> None:
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        pipe.send(len(result.latencies))


async def _closed_loop(call: _Call, load: Load, share: Share, start: float, result: WorkerResult) -> None:
    begin, end = start + load.warmup_seconds, start + load.warmup_seconds + load.seconds
    payloads = itertools.cycle(load.payloads)
    used = _Used(begin)

    async def stream() -> None:
        while (begun := time.monotonic()) < end:
            failed = await call(next(payloads))
            now = time.monotonic()
            if begun >= begin:
                result.note(now - begun, failed)
                result.last = now
            if failed is not None:
                await asyncio.sleep(0)  # a call that fails at once would let nobody else run
            used.look(now)

    await asyncio.gather(*(stream() for _ in range(share.step.concurrency or 1)))
    result.busy = used.part()


async def _open_loop(call: _Call, load: Load, share: Share, start: float, result: WorkerResult) -> None:
    begin, end = start + load.warmup_seconds, start + load.warmup_seconds + load.seconds
    rate = share.step.rate or 1.0
    payloads = itertools.cycle(load.payloads)
    places = asyncio.Semaphore(_MAX_UNDER_WAY)
    under_way: set[asyncio.Task[None]] = set()
    used = _Used(begin)

    async def one(due: float, payload: bytes) -> None:
        failed = await call(payload)
        now = time.monotonic()
        places.release()
        if due >= begin:
            result.note(now - due, failed)
            result.last = now

    for number in itertools.count():
        due = start + share.offset + number / rate
        if due >= end:
            break
        # Also when it is late already: answers must be read in between.
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await places.acquire()
        task = asyncio.create_task(one(due, next(payloads)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        used.look(time.monotonic())
    result.busy = used.part()
    await asyncio.gather(*under_way)


def _used_seconds() -> float:
    """Return for how long this thread has computed, or (where Linux tells) could have if a processor had been free."""
    try:
        computed, waited, _ = _SCHEDSTAT.read_text().split()
    except OSError:
        return time.thread_time()
    return (int(computed) + int(waited)) / 1e9


class _Used:
    """How much of the time since `begin` this thread has been busy."""

    def __init__(self, begin: float) -> None:
        self._begin = begin
        self._first: tuple[float, float] | None = None

    def look(self, now: float) -> None:
        if self._first is None and now >= self._begin:
            self._first = (now, _used_seconds())

    def part(self) -> float:
        if self._first is None:
            return 0.0
        since, used = self._first
        return (_used_seconds() - used) / max(time.monotonic() - since, 1e-9)


async def _open(load: Load, share: Share, stack: AsyncExitStack) -> _Call:
    return await (_open_rest(load, share, stack) if load.address.rest else _open_grpc(load, stack))


async def _open_rest(load: Load, share: Share, stack: AsyncExitStack) -> _Call:
    import httpx

    url = f"{load.address.target}{load.path}"
    connections = share.step.concurrency or _MAX_REST_CONNECTIONS
    client = await stack.enter_async_context(
        httpx.AsyncClient(
            timeout=httpx.Timeout(load.timeout_seconds, pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            **load.address.http_arguments(),
        )
    )

    async def call(payload: bytes) -> tuple[str, str] | None:
        try:
            response = await client.post(url, content=payload)
        except httpx.TimeoutException:
            return "timeout", f"no answer after {load.timeout_seconds:g} s"
        except httpx.HTTPError as error:
            return "no connection", str(error) or type(error).__name__
        return None if response.status_code == httpx.codes.OK else (str(response.status_code), response.text)

    return call


async def _open_grpc(load: Load, stack: AsyncExitStack) -> _Call:
    import grpc
    import grpc.aio

    method = f"/tensorflow.serving.PredictionService/{load.method.grpc_name}"
    channels = [await stack.enter_async_context(load.address.channel(grpc.aio)) for _ in range(load.connections)]
    for channel in channels:
        with suppress(asyncio.TimeoutError):  # the requests will tell
            await asyncio.wait_for(channel.channel_ready(), _CONNECT_SECONDS)
    # Bytes both ways: reading the replies is not what is measured.
    calls = itertools.cycle([channel.unary_unary(method) for channel in channels])

    async def call(payload: bytes) -> tuple[str, str] | None:
        try:
            await next(calls)(payload, timeout=load.timeout_seconds)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        return None

    return call
