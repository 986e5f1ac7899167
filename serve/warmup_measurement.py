"""What warm-up records are worth: the first request to a fresh server, with them and without."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.warmup import read_records

__all__ = ["Latencies", "measure", "probe"]

_MODEL = "measured"
_SECONDS = 3.0
_MAX_CALLS = 500
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
    """

    load_ms: float
    first_ms: float
    p50_ms: float
    p99_ms: float


def measure(directory: Path) -> dict[str, Latencies]:
    """Serve a version twice, each time in a new process, and return what was measured `without` and `with` warm-up.

    The requests are the version's own warm-up records, sent over gRPC from the same process.

    Raises:
        TfsError: the version has no records, or cannot be served.
    """
    if not read_records(directory):
        raise TfsError(f"`{directory}` has no warm-up records", f"tfs warmup {directory} --synthetic")
    return {name: _in_new_process(directory, warm) for name, warm in (("without", False), ("with", True))}


def _in_new_process(directory: Path, warm: bool) -> Latencies:
    program = "import sys; from tfs.serve.warmup_measurement import probe; probe(sys.argv[1], sys.argv[2] == 'warm')"
    command = [sys.executable, "-c", program, str(directory.absolute()), "warm" if warm else "cold"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a message"])[-1]
        raise TfsError(f"`{directory}` cannot be served: {last}")
    return Latencies(**json.loads(done.stdout))


def probe(directory: str, warm: bool) -> None:
    """Serve a version in this process, send its records, and print the latencies as JSON."""
    import grpc

    from tfs.savedmodel.protos import load
    from tfs.serve.server import Server

    requests = _requests(Path(directory))
    with tempfile.TemporaryDirectory(prefix="tfs-measure-") as base:
        (Path(base) / "1").symlink_to(directory)
        server = Server(model_name=_MODEL, model_base_path=base, port=-1, rest_api_port=0, enable_model_warmup=warm)
        start = time.perf_counter()
        with server, grpc.insecure_channel(server.grpc_address or "") as channel:
            load_seconds = time.perf_counter() - start
            stub = load("prediction_service_pb2_grpc").PredictionServiceStub(channel)
            _warm_up_client(stub)
            first = [_timed(stub, method, request) for method, request in _one_of_each(requests)]
            steady = _steady(stub, requests)
    cut = statistics.quantiles(steady, n=100)
    values = {"load_ms": load_seconds, "first_ms": max(first), "p50_ms": statistics.median(steady), "p99_ms": cut[98]}
    sys.stdout.write(json.dumps({name: round(seconds * 1000, 3) for name, seconds in values.items()}))


def _warm_up_client(stub: Any) -> None:
    """Ask for a model that is not there: the first time of connection and client is not the model's."""
    import grpc

    from tfs.savedmodel.protos import load

    request = load("predict_pb2").PredictRequest()
    request.model_spec.name = "none"
    for _ in range(3):
        with suppress(grpc.RpcError):
            stub.Predict(request, timeout=60, wait_for_ready=True)


def _requests(directory: Path) -> list[tuple[str, Any]]:
    requests = []
    for log in read_records(directory):
        kind = log.WhichOneof("log_type")
        if kind in _METHODS:
            request = getattr(log, kind).request
            parts = request.tasks if kind == "multi_inference_log" else [request]
            for part in parts:
                part.model_spec.name = _MODEL
                part.model_spec.ClearField("version_choice")
            requests.append((_METHODS[kind], request))
    return requests


def _one_of_each(requests: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the first request to each signature."""
    named: dict[tuple[str, str], tuple[str, Any]] = {}
    for method, request in requests:
        name = "" if method == "MultiInference" else request.model_spec.signature_name
        named.setdefault((method, name), (method, request))
    return list(named.values())


def _timed(stub: Any, method: str, request: Any) -> float:
    start = time.perf_counter()
    getattr(stub, method)(request, timeout=600)
    return time.perf_counter() - start


def _steady(stub: Any, requests: list[tuple[str, Any]]) -> list[float]:
    chosen = _one_of_each(requests)
    seconds: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(seconds) < 2 or (time.perf_counter() < end and len(seconds) < _MAX_CALLS):
        method, request = chosen[len(seconds) % len(chosen)]
        seconds.append(_timed(stub, method, request))
    return seconds
