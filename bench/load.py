"""The load generators: h2load for gRPC, wrk for REST, and a loop in the engine; each run gives one Sample or fails."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from models import Model

__all__ = ["FailedRequestsError", "Sample", "grpc_load", "in_process_load", "rest_load"]

_HERE = Path(__file__).parent
_GRPC_HEADERS = ("-H", "content-type: application/grpc", "-H", "te: trailers")
_FRAME_BYTES = 5  # gRPC's prefix of a message: a flag and its length


class FailedRequestsError(Exception):
    """Not every request was answered, and answered well: what was measured counts for nothing."""


@dataclass(frozen=True)
class Sample:
    """One run: requests per second, median and 99th percentile of the latency in microseconds (None: not measured)."""

    rate: float
    p50: float | None = None
    p99: float | None = None


def in_process_load(model: Model, seconds: float) -> Sample:
    """Run the model's request over and over in a process without a network, one thread per core."""
    command = [sys.executable, str(_HERE / "in_process.py"), model.name, str(model.base_path), str(seconds)]
    done = subprocess.run(command, input=model.message, stdout=subprocess.PIPE, check=True)
    return Sample(float(done.stdout))


def grpc_load(  # noqa: PLR0913  the shape of a load
    address: str,
    method: str,
    message: bytes,
    *,
    reply_bytes: int,
    clients: int,
    streams: int,
    seconds: float,
    scratch: Path,
) -> Sample:
    """Send `message` to `/service/method` over `clients` connections with `streams` requests at a time each.

    Raises:
        FailedRequestsError: a request had no reply of `reply_bytes`. gRPC's errors come as HTTP 200 without a message,
            so the bytes of all replies are compared with their number.
    """
    frame, log = scratch / "frame", scratch / "h2load.tsv"
    frame.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    log.unlink(missing_ok=True)  # h2load appends
    load = ["-t1", f"-c{clients}", f"-m{streams}", f"-D{round(1000 * seconds)}ms", f"--log-file={log}", f"-d{frame}"]
    command = ["h2load", *load, *_GRPC_HEADERS, f"http://{address}{method}"]
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    received = re.search(r"\((\d+)\) data", output)
    if not counts or not received:
        raise FailedRequestsError(f"h2load {method}: {output[-400:]}")
    done, succeeded, *bad = map(int, counts.groups())
    if not done or succeeded != done or any(bad) or int(received[1]) < done * (_FRAME_BYTES + reply_bytes):
        raise FailedRequestsError(f"h2load {method}: {counts[0]}, {received[1]} bytes of replies")
    start, _, latency = np.loadtxt(log, dtype=np.int64, delimiter="\t", ndmin=2).T
    # Until the last reply: h2load's own figure divides by the wanted duration, which it may overrun.
    elapsed = (start + latency).max() - start.min()
    p50, p99 = np.percentile(latency, [50, 99])
    return Sample(len(latency) / elapsed * 1e6, float(p50), float(p99))


def rest_load(url: str, body: bytes, *, connections: int, seconds: float, scratch: Path) -> Sample:
    """POST `body` over `connections` connections, one request at a time on each.

    Raises:
        FailedRequestsError: a request failed or had another status than 2xx.
    """
    file = scratch / "body.json"
    file.write_bytes(body)
    # wrk takes whole seconds.
    load = ["-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", f"-s{_HERE / 'post.lua'}"]
    output = subprocess.run(["wrk", *load, url, "--", str(file)], stdout=subprocess.PIPE, text=True, check=True).stdout
    result = json.loads(output.strip().rpartition("\n")[2])
    if result["failed"] or not result["requests"]:
        raise FailedRequestsError(f"wrk {url}: {result['failed']} of {result['requests']} requests failed")
    return Sample(result["requests"] / result["microseconds"] * 1e6, result["p50"], result["p99"])
