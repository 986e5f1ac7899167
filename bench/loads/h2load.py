"""h2load: gRPC and REST in a closed loop, each stream sends its next request when it has the answer to the last.

One tool for both, so that both have the same statistics (wrk adds latencies of requests that were never sent).
"""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .sample import FailedRequestsError, Sample, closed_loop_sample, pinned, require_tool

__all__ = ["Call", "grpc_load", "rest_load"]

_GRPC = ("-H", "content-type: application/grpc", "-H", "te: trailers")
_REST = ("-H", "content-type: application/json")
_FRAME_BYTES = 5  # gRPC's prefix of a message: a flag and its length
_MANY_CONNECTIONS = 256
_CONNECTIONS_A_SECOND = 1024
_PATIENCE = 60.0  # seconds over what was asked for


@dataclass(frozen=True)
class Call:
    """A unary call that is made over and over.

    Attributes:
        address: `host:port`.
        method: `/service/method`.
        message: the serialized request.
        reply_bytes: size of the reply.
    """

    address: str
    method: str
    message: bytes
    reply_bytes: int


def grpc_load(  # noqa: PLR0913  the shape of a load
    call: Call, *, clients: int, streams: int, seconds: float, scratch: Path, cpus: str | None = None
) -> Sample:
    """Make the call over `clients` connections with `streams` requests at a time each.

    Raises:
        FailedRequestsError: a request had no reply of `reply_bytes`. gRPC's errors come as HTTP 200 without a message,
            so the bytes of all replies are compared with their number.
    """
    frame = b"\0" + len(call.message).to_bytes(4, "big") + call.message
    load = [f"-c{clients}", f"-m{streams}", *_warm_up(clients), *_GRPC]
    sample, done, received = _run(load, [f"http://{call.address}{call.method}"], frame, seconds, scratch, cpus)
    if received < done * (_FRAME_BYTES + call.reply_bytes):
        raise FailedRequestsError(f"h2load {call.method}: {done} done, {received} bytes of replies")
    return sample


def rest_load(  # noqa: PLR0913  the shape of a load
    urls: Sequence[str], body: bytes, *, connections: int, streams: int | None = None, seconds: float, scratch: Path
) -> Sample:
    """POST `body` to the URLs of one server in turn, over `connections` connections.

    Over HTTP/1.1 with one request at a time on each, or over HTTP/2 with `streams` at a time.

    Raises:
        FailedRequestsError: a request failed or had another status than 2xx.
    """
    http = ["--h1"] if streams is None else [f"-m{streams}"]
    sample, _, _ = _run([f"-c{connections}", *http, *_REST], urls, body, seconds, scratch, None)
    return sample


def _run(  # noqa: PLR0913, PLR0917  the parts of a command
    load: list[str], urls: Sequence[str], body: bytes, seconds: float, scratch: Path, cpus: str | None
) -> tuple[Sample, int, int]:
    """Return the sample, how many requests were answered, and the bytes of all answers."""
    file, log = scratch / "body", scratch / "h2load.tsv"
    file.write_bytes(body)
    log.unlink(missing_ok=True)  # h2load appends
    flags = ["-t1", f"-D{round(1000 * seconds)}ms", f"--log-file={log}", f"-d{file}", *load]
    command = pinned([require_tool("h2load"), *flags, *urls], cpus)
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
            timeout=_PATIENCE + seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise FailedRequestsError(f"h2load {urls[0]}: no end after {error.timeout:.0f} s") from error
    output = done.stdout
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    received = re.search(r"\((\d+)\) data", output)
    if not counts or not received:
        raise FailedRequestsError(f"h2load {urls[0]}: {output[-400:]}")
    answered, succeeded, *bad = map(int, counts.groups())
    if not answered or succeeded != answered or any(bad):
        raise FailedRequestsError(f"h2load {urls[0]}: {counts[0]}")
    start, _, latency = np.loadtxt(log, dtype=np.int64, delimiter="\t", ndmin=2).T
    return closed_loop_sample(start, latency), answered, int(received[1])


def _warm_up(clients: int) -> list[str]:
    """Return the time to open very many connections; h2load never ends if one opens after the measurement."""
    return [f"--warm-up-time={-(-clients // _CONNECTIONS_A_SECOND)}s"] if clients >= _MANY_CONNECTIONS else []
