"""ghz: gRPC in an open loop, where requests come at a fixed rate whether the server has answered others or not.

In a closed loop it tells the most that the same client gets out of a server.

Latency counts from the moment a request was due. ghz starts one up to a millisecond late, since Go's timers wake that
much late; this millisecond is part of the latencies. What must not happen is that ghz falls behind its schedule because
the server is slow, and it does not: every request has a goroutine of its own.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfs.serve.descriptors import service_descriptors

from .h2load import Call
from .sample import FailedRequestsError, Sample, pinned, require_tool

__all__ = ["Arrivals", "arrivals_of", "closed_loop", "open_loop"]

_CONNECTIONS = 4


@dataclass(frozen=True)
class Arrivals:
    """The requests of one run in the order in which they were due.

    Attributes:
        due: when, in seconds since the epoch, float64 [n].
        late: by how much the client began later, in microseconds, float64 [n].
        latency: from that moment to the answer or error, in microseconds, float64 [n].
        status: names of gRPC's codes, str [n].
    """

    due: np.ndarray
    late: np.ndarray
    latency: np.ndarray
    status: np.ndarray

    def sample(self, *, within: float | None = None) -> Sample:
        """Return the rate of requests that were answered well, and not after `within` microseconds; their latencies."""
        good = self.status == "OK"
        if within is not None:
            good &= self.latency <= within
        if not good.any():
            return Sample(0.0)
        # All were due within n intervals. Answers that come after the last was due serve no later request.
        interval = (self.due[-1] - self.due[0]) / max(len(self.due) - 1, 1)
        p50, p99 = np.percentile(self.latency[good], [50, 99])
        return Sample(
            float(good.sum() / (interval * len(self.due))), float(p50), float(p99), float(self.latency[good].mean())
        )

    def failed(self) -> dict[str, int]:
        """Return how many requests had which error."""
        names, counts = np.unique(self.status[self.status != "OK"], return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))


def open_loop(  # noqa: PLR0913  the shape of a load
    call: Call, *, rate: float, seconds: float, scratch: Path, deadline: float | None = None, cpus: str | None = None
) -> Arrivals:
    """Make the call at `rate` requests per second for `seconds`.

    Args:
        call: the call; the size of its reply is not looked at, gRPC's status is.
        rate: requests per second, rounded to a whole number.
        seconds: how long.
        scratch: a folder for files.
        deadline: what the client sends as its deadline, in seconds; None for none.
        cpus: where the client runs.

    Raises:
        FailedRequestsError: ghz did not report every request.
    """
    per_second = round(rate)
    count = round(per_second * seconds)
    load = [f"--rps={per_second}", f"--total={count}", "--async", "--concurrency=8"]
    limit = f"--timeout={round(1000 * deadline)}ms" if deadline else "--timeout=0"
    details = _run(call, [*load, limit], scratch, cpus)["details"]
    if len(details) != count:
        raise FailedRequestsError(f"ghz {call.method}: {len(details)} of {count} requests were reported")
    return arrivals_of(details, per_second)


def closed_loop(call: Call, *, waiting: int, seconds: float, scratch: Path) -> Sample:
    """Keep `waiting` requests under way for `seconds`: the most that this client gets out of the server.

    Raises:
        FailedRequestsError: a request failed.
    """
    load = [f"--concurrency={waiting}", f"--duration={seconds}s", "--duration-stop=wait", "--timeout=0"]
    report = _run(call, load, scratch, None)
    if set(report["statusCodeDistribution"]) != {"OK"}:
        raise FailedRequestsError(f"ghz {call.method}: {report['statusCodeDistribution']}")
    latency = np.array([detail["latency"] for detail in report["details"]]) / 1e3
    p50, p99 = np.percentile(latency, [50, 99])
    return Sample(float(report["rps"]), float(p50), float(p99), float(latency.mean()))


def _run(call: Call, load: list[str], scratch: Path, cpus: str | None) -> dict[str, Any]:
    """Run ghz and return its report."""
    message, descriptors, report = scratch / "message", scratch / "descriptors", scratch / "ghz.json"
    message.write_bytes(call.message)
    descriptors.write_bytes(service_descriptors())
    flags = ["--insecure", f"--protoset={descriptors}", f"--call={call.method[1:]}", f"--binary-file={message}"]
    output = ["--format=json", f"--output={report}", "--disable-template-functions", "--disable-template-data"]
    command = [require_tool("ghz"), *load, f"--connections={_CONNECTIONS}", *flags, *output, call.address]
    done = subprocess.run(pinned(command, cpus), capture_output=True, text=True, check=False)
    if done.returncode or not report.is_file():
        raise FailedRequestsError(f"ghz {call.method}: {(done.stdout + done.stderr)[-400:]}")
    content: dict[str, Any] = json.loads(report.read_text())
    report.unlink()
    return content


def arrivals_of(details: list[dict[str, object]], rate: float) -> Arrivals:
    """Return the arrivals of ghz's `details`: of each request its end (`timestamp`), its `latency` in ns, its `status`.

    The schedule is a line of equal distances through the request that came the least late.
    """
    ends = np.array([str(detail["timestamp"])[:29].rstrip("Z") for detail in details], dtype="datetime64[ns]")
    latency = np.array([detail["latency"] for detail in details], dtype=np.int64)
    starts = ends.astype(np.int64) - latency
    order = np.argsort(starts, kind="stable")
    schedule = np.arange(len(details)) * (1e9 / rate)
    origin = starts[order[0]]
    since = (starts[order] - origin) - schedule
    late = since - since.min()
    due = (origin + since.min() + schedule) / 1e9
    status = np.array([str(detail["status"]) for detail in details])[order]
    return Arrivals(due, late / 1e3, (latency[order] + late) / 1e3, status)
