"""A new version while requests come: what those who ask notice of it."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from loads import Arrivals, Call, FailedRequestsError, Sample, closed_loop, open_loop
from report import Result, Section, Table, Target, at_most
from server import Server, serve
from settings import Settings, predict_call
from versions import Versions

__all__ = ["SWAP"]

_MODELS = {"encoder_tokens": 1, "deepfm_ids": 32}  # rows in a request: the client can send some thousands a second
_LOAD = 0.7  # of the peak
_SWAPS = 3  # in a round
_PAUSE = 2.0  # seconds before the first swap of a round and between swaps
_SECONDS_OF_A_ROUND = 12.0
_WAITING = 32  # requests under way at the peak
_PEAK, _STEADY, _DURING = f"peak, {_WAITING} requests in a closed loop", "steady", "while a version is exchanged"


def _measure(settings: Settings) -> Result:
    result = Result(figures={"swaps": {}})
    for name, rows in _MODELS.items():
        versions = Versions(settings.model(name), settings.scratch)
        with serve(versions.model) as server:
            swapping = _Swapping(settings, server, versions, rows)
            table = Table(rows={_PEAK: [], _STEADY: [], _DURING: []})
            for number in range(settings.rounds):
                for row, sample in swapping.round().items():
                    table.samples(row).append(sample)
                print(f"{name}  round {number + 1}/{settings.rounds}: {swapping.seconds[-_SWAPS:]}", flush=True)
            result.tables[name] = table
            result.figures["swaps"][name] = {"seconds": swapping.seconds, "failed": swapping.failed}
    return result


class _Swapping:
    """Rounds of swaps under load."""

    def __init__(self, settings: Settings, server: Server, versions: Versions, rows: int) -> None:
        self._settings, self._server, self._versions = settings, server, versions
        self._call: Call = predict_call(server.grpc_address, versions.model, rows)
        self._version = 1
        self.seconds: list[float] = []
        self.failed: dict[str, int] = {}

    def round(self) -> dict[str, Sample]:
        """Measure the peak, then offer a part of it while versions are exchanged."""
        settings = self._settings
        peak = closed_loop(self._call, waiting=_WAITING, seconds=settings.seconds, scratch=settings.scratch)
        with ThreadPoolExecutor(1) as pool:
            swaps = pool.submit(self._swaps)
            arrivals = open_loop(
                self._call, rate=_LOAD * peak.rate, seconds=_SECONDS_OF_A_ROUND, scratch=settings.scratch
            )
            windows = swaps.result()
        self.seconds += [end - begin for begin, end in windows]
        for code, count in arrivals.failed().items():
            self.failed[code] = self.failed.get(code, 0) + count
        during = np.zeros(len(arrivals.due), bool)
        for begin, end in windows:
            during |= (arrivals.due >= begin) & (arrivals.due <= end)
        if not during.any():
            raise FailedRequestsError("no request was due during a swap: the load ended before the swaps")
        return {_PEAK: peak, _STEADY: _part(arrivals, ~during), _DURING: _part(arrivals, during)}

    def _swaps(self) -> list[tuple[float, float]]:
        windows = []
        for _ in range(_SWAPS):
            time.sleep(_PAUSE)
            self._version += 1
            windows.append(self._versions.swap(self._server, self._version))
        return windows


def _part(arrivals: Arrivals, chosen: np.ndarray) -> Sample:
    """Return the latencies of some of the requests, and the rate of the whole load."""
    rate = len(arrivals.due) / max(arrivals.due[-1] - arrivals.due[0], 1e-9)
    latency = arrivals.latency[chosen & (arrivals.status == "OK")]
    p50, p99 = np.percentile(latency, [50, 99])
    return Sample(float(rate), float(p50), float(p99), float(latency.mean()))


def _targets(result: Result) -> list[Target]:
    targets = []
    for name, table in result.tables.items():
        failed = sum(result.figures["swaps"][name]["failed"].values())
        targets += [
            at_most(f"hot swap of {name}: failed requests", 0, lambda failed=failed: failed, "{:.0f}"),
            at_most(
                f"hot swap of {name}: p99 over that of steady load",
                2,
                lambda table=table: table.p99_ratio(_DURING, _STEADY),
            ),
        ]
    return targets


def _details(result: Result) -> list[str]:
    return [
        "; ".join(
            f"{name}: {len(swaps['seconds'])} swaps of {np.median(swaps['seconds']):.2f} s (median), "
            f"failed requests: {swaps['failed'] or 'none'}"
            for name, swaps in result.figures["swaps"].items()
        )
        + "."
    ]


SWAP = Section(
    "swap",
    "Hot swap under load",
    _measure,
    f"""\
An open loop at {_LOAD:.0%} of the peak that the same client reached in the same round; client and server share all
cores. {_SWAPS} times in a round
a new version appears; a request counts as during the exchange from the log line `START -> LOADING` of the new version
to `UNLOADING -> END` of the old one. Rows in a request: {", ".join(f"{name} {n}" for name, n in _MODELS.items())}.

The client of the open loop (ghz) takes 0.12 ms of processor time for a request for deepfm_ids, where the server takes
0.3 ms and h2load a fifth of ghz; with it 4,800 requests/s are possible where h2load gets 6,200. When 70% was taken of
h2load's peak, the offered load was 90% of what both together could do, nothing was left to load a version with, and
up to 8% of a round's requests were refused with RESOURCE_EXHAUSTED, since 4,096 waited.

A version is loaded by threads that take idle time only, as long as there is some, and else have niceness 10. With
neither, at the same load, a request for deepfm_ids took 20.8 ms (median) while a version was exchanged and one for
encoder_tokens 143 ms. Niceness alone leaves run threads waiting for the thread that loads, by
`/proc/PID/task/*/schedstat` up to half of a core's time although their share is ten times as large: who wakes up does
not take a nice thread's place at once. At half of the peak, in six runs each in turn, p99 during the exchange was 1.9
times the steady one (0.9 to 2.7, median) with idle time only and 3.4 times (1.2 to 9.4) with niceness 10; niceness 19
and shorter slices (`sched_setattr`) changed little.

The ratio follows what the machine's neighbours leave. When a loop in process had its full speed it was 0.97
(encoder_tokens) and 0.67 (deepfm_ids); hours later, at half of that speed and with loads that took 1.2 to 1.4 times as
long, three measurements within an hour gave 2.29 and 2.04, 2.75 and 1.23, 3.38 and 2.31. Right after the last one the
engine of the first measurement had 2.32 and 2.11, so by this one comparison it is the machine.""",
    _targets,
    _details,
    tools=("ghz",),
)
