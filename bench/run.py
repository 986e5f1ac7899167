"""Measure the server beside its own limits: `make bench`, or `python bench/run.py --help`."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from load import FailedRequestsError, Sample, grpc_load, in_process_load, rest_load
from models import Model, make_models
from report import ModelResult, render
from server import Server, WrongAnswerError

PREDICT = "/tensorflow.serving.PredictionService/Predict"
HEALTH = "/grpc.health.v1.Health/Check"
HEALTH_REPLY_BYTES = 2  # HealthCheckResponse { status: SERVING }
STARTS = 3
WARM_UP_SECONDS = 1


def cells(server: Server, reply_bytes: int, seconds: float, scratch: Path) -> dict[str, Callable[[], Sample]]:
    """Return what is measured of a server, in the order of the measurement: an RPC and its limit side by side."""

    def grpc(method: str, clients: int, streams: int) -> Callable[[], Sample]:
        message, size = (b"", HEALTH_REPLY_BYTES) if method == HEALTH else (server.model.message, reply_bytes)
        return lambda: grpc_load(
            server.grpc_address,
            method,
            message,
            reply_bytes=size,
            clients=clients,
            streams=streams,
            seconds=seconds,
            scratch=scratch,
        )

    def rest(connections: int) -> Callable[[], Sample]:
        url, body = f"http://{server.rest_address}{server.rest_path}", server.model.body
        return lambda: rest_load(url, body, connections=connections, seconds=seconds, scratch=scratch)

    return {
        "in process": lambda: in_process_load(server.model, seconds),
        "empty 1": grpc(HEALTH, 1, 1),
        "predict 1": grpc(PREDICT, 1, 1),
        "rest 1": rest(1),
        "empty 8x16": grpc(HEALTH, 8, 16),
        "predict 8x16": grpc(PREDICT, 8, 16),
        "rest 32": rest(32),
    }


def start(model: Model) -> tuple[Server, list[float]]:
    """Start the server a few times; return the last one, running, and the seconds that each start took."""
    seconds = []
    for _ in range(STARTS - 1):
        server = Server(model)
        seconds.append(server.seconds_to_ready)
        server.stop()
    server = Server(model)
    return server, [*seconds, server.seconds_to_ready]


def measure(models: list[Model], *, rounds: int, seconds: float, scratch: Path) -> list[ModelResult]:
    """Serve each model and measure all cells of both in turn, `rounds` times."""
    with ExitStack() as stack:
        starts: dict[str, list[float]] = {}
        plan: dict[str, dict[str, Callable[[], Sample]]] = {}
        servers = []
        for model in models:
            server, starts[model.name] = start(model)
            stack.callback(server.kill)
            servers.append(server)
            reply_bytes = server.check_answers()
            for warm_up in cells(server, reply_bytes, min(WARM_UP_SECONDS, seconds), scratch).values():
                warm_up()
            plan[model.name] = cells(server, reply_bytes, seconds, scratch)
        samples: dict[str, dict[str, list[Sample]]] = {name: {row: [] for row in rows} for name, rows in plan.items()}
        for number in range(rounds):
            for name, rows in plan.items():
                for row, sample in rows.items():
                    samples[name][row].append(sample())
                    rate = samples[name][row][-1].rate
                    print(f"round {number + 1}/{rounds}  {name:14} {row:13} {rate:10,.0f} requests/s", file=sys.stderr)
        results = []
        for server in servers:
            server.check_answers()
            name = server.model.name
            results.append(ModelResult(name, samples[name], starts[name], server.resident_mib()))
            server.stop()
        return results


def main() -> None:
    """Measure, print the page and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each cell; the median counts")
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"), help="the page to write")
    options = parser.parse_args()
    if options.seconds <= 0 or options.rounds < 1:
        parser.error("--seconds must be above 0 and --rounds at least 1")
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="tfs-bench-") as folder:
        scratch = Path(folder)
        print("making the models", file=sys.stderr)
        models = make_models(scratch)
        try:
            results = measure(models, rounds=options.rounds, seconds=options.seconds, scratch=scratch)
        except (FailedRequestsError, WrongAnswerError, RuntimeError) as error:
            sys.exit(f"error: {error}")
    command = f"python bench/run.py --seconds {options.seconds:g} --rounds {options.rounds}"
    page = render(results, command=command, rounds=options.rounds, seconds=options.seconds, load_before=load_before)
    print(page)
    options.output.write_text(page)


if __name__ == "__main__":
    main()
