"""What warm-up records are worth: the first request to a fresh server, with them and without."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.warmup import read_records

__all__ = ["Latencies", "measure", "serve"]

_MODEL, _NO_MODEL = "measured", "none"
_CLIENT_CALLS = 20
_SECONDS = 3.0
_MAX_CALLS = 500
_RESTED_CALLS = 15
_REST_SECONDS = 0.1
_SERVICE = "/tensorflow.serving.PredictionService"
_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
_METHODS = {
    "predict_log": "Predict",
    "classify_log": "Classify",
    "regress_log": "Regress",
    "multi_inference_log": "MultiInference",
}


@dataclass(frozen=True)
class Latencies:
    """What a fresh server did, in milliseconds.

    Attributes:
        load_ms: from the start of the load until the server was ready, TensorFlow's own start included.
        first_ms: the slowest of the first requests, one to each signature.
        p50_ms: median of the requests after that.
        p99_ms: 99th percentile of them.
        rested_ms: median of requests that come a while after the one before, as the first one does: a core that rests
            in between takes longer, however warm the version is.
    """

    load_ms: float
    first_ms: float
    p50_ms: float
    p99_ms: float
    rested_ms: float


@dataclass(frozen=True)
class _Request:
    """A request: the gRPC method, the signature (empty: several), and the message."""

    method: str
    signature: str
    message: Any

    def to_model(self, name: str) -> bytes:
        """Return the serialized message, sent to a model of this name."""
        for part in self.message.tasks if self.method == "MultiInference" else [self.message]:
            part.model_spec.name = name
            part.model_spec.ClearField("version_choice")
        content: bytes = self.message.SerializeToString()
        return content


def measure(directory: Path) -> dict[str, Latencies]:
    """Serve a version twice, each time in a new process, and return what was measured `without` and `with` warm-up.

    The requests are the version's own warm-up records, sent over gRPC from this process, which has called the server
    before but not the model.

    Raises:
        TfsError: the version has no records, or cannot be served.
    """
    requests = _requests(directory)
    if not requests:
        raise TfsError(f"`{directory}` has no warm-up records", f"tfs warmup {directory} --synthetic")
    return {name: _measure(directory, requests, warm) for name, warm in (("without", False), ("with", True))}


def serve(directory: str, warm: bool) -> None:
    """Serve a version in this process until stdin ends; tell where, and how long the load took, as JSON on stdout."""
    from tfs.serve.server import Server

    with tempfile.TemporaryDirectory(prefix="tfs-measure-") as base:
        (Path(base) / "1").symlink_to(directory)
        server = Server(model_name=_MODEL, model_base_path=base, port=-1, rest_api_port=0, enable_model_warmup=warm)
        start = time.perf_counter()
        with server:
            started = {"address": server.grpc_address, "load_ms": (time.perf_counter() - start) * 1000}
            sys.stdout.write(json.dumps(started) + "\n")
            sys.stdout.flush()
            sys.stdin.read()


@contextmanager
def _served(directory: Path, warm: bool) -> Iterator[dict[str, Any]]:
    """Serve a version in a new process for as long as the block lasts, and yield what `serve` tells."""
    program = "import sys; from tfs.serve.warmup_measurement import serve; serve(sys.argv[1], sys.argv[2] == 'warm')"
    command = [sys.executable, "-c", program, str(directory.absolute()), "warm" if warm else "cold"]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        started = process.stdout.readline() if process.stdout else ""
        if not started:
            process.wait()
            log.seek(0)
            last = (log.read().strip().splitlines() or ["it ended without a message"])[-1]
            raise TfsError(f"`{directory}` cannot be served: {last}")
        yield json.loads(started)


def _measure(directory: Path, requests: list[_Request], warm: bool) -> Latencies:
    import grpc

    unlimited = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
    with _served(directory, warm) as started, grpc.insecure_channel(started["address"], unlimited) as channel:
        # Bytes both ways: writing requests and reading replies is not what is measured.
        calls: dict[str, Any] = {method: channel.unary_unary(f"{_SERVICE}/{method}") for method in _METHODS.values()}

        def seconds(request: _Request) -> float:
            content = request.to_model(_MODEL)
            start = time.perf_counter()
            calls[request.method](content, timeout=600)
            return time.perf_counter() - start

        chosen = list({(request.method, request.signature): request for request in reversed(requests)}.values())[::-1]
        try:
            _warm_up_client(channel, calls, chosen)
            first = max(map(seconds, chosen))
            steady = _steady(seconds, chosen)
            rested = _rested(seconds, chosen)
        except grpc.RpcError as error:
            told = f"{error.code().name}: {error.details()}"
            raise TfsError(f"`{directory}` does not answer its own warm-up records: {told}") from error
    cut = statistics.quantiles(steady, n=100)
    values = (value * 1000 for value in (first, statistics.median(steady), cut[98], statistics.median(rested)))
    return Latencies(*(round(value, 3) for value in (started["load_ms"], *values)))


def _warm_up_client(channel: Any, calls: dict[str, Any], requests: list[_Request]) -> None:
    """Use connection and client as the requests will, without the model.

    A connection lets only some bytes through before it knows its peer, so requests as large as those that will be
    measured go to a model that is not there; the replies to another method are those of calls that succeed.
    """
    import grpc

    from tfs.savedmodel.protos import load

    status = load("get_model_status_pb2").GetModelStatusRequest()
    status.model_spec.name = _MODEL
    ask = channel.unary_unary(_STATUS)
    for _ in range(_CLIENT_CALLS):
        for request in requests:
            with suppress(grpc.RpcError):
                calls[request.method](request.to_model(_NO_MODEL), timeout=60, wait_for_ready=True)
        ask(status.SerializeToString(), timeout=60)


def _requests(directory: Path) -> list[_Request]:
    requests = []
    for log in read_records(directory):
        kind = log.WhichOneof("log_type")
        if kind in _METHODS:
            message = getattr(log, kind).request
            name = "" if kind == "multi_inference_log" else message.model_spec.signature_name
            requests.append(_Request(_METHODS[kind], name, message))
    return requests


def _steady(seconds: Callable[[_Request], float], requests: list[_Request]) -> list[float]:
    taken: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(taken) < 2 or (time.perf_counter() < end and len(taken) < _MAX_CALLS):
        taken.append(seconds(requests[len(taken) % len(requests)]))
    return taken


def _rested(seconds: Callable[[_Request], float], requests: list[_Request]) -> list[float]:
    taken: list[float] = []
    for number in range(_RESTED_CALLS):
        time.sleep(_REST_SECONDS)
        taken.append(seconds(requests[number % len(requests)]))
    return taken
