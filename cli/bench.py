"""`tfs bench`: how many requests a server answers, and how fast."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfs.cli.console import progress
from tfs.cli.server_options import (
    CaCert,
    Cert,
    Key,
    Model,
    SignatureName,
    Target,
    Version,
    address_of,
    check_names,
)
from tfs.savedmodel.errors import TfsError, UsageError

if TYPE_CHECKING:
    from tfs.serve.client.address import Address
    from tfs.serve.client.load_plan import Step
    from tfs.serve.client.load_requests import Asked
    from tfs.serve.client.load_result import StepResult
    from tfs.serve.client.request_data import RequestData

__all__ = ["register"]

_HELP = """Put a load on a server, or on a model in this process, and show requests per second and latencies.

Example: tfs bench grpc://localhost:8500 --model digits --concurrency 1,4,16
"""

# Runs a step: the step, and what to call with seconds since its begin and answers so far.
_Runner = Callable[["Step", Callable[[float, int], None]], "StepResult"]


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("bench", help=_HELP, short_help="Measure how many requests a server answers, and how fast.")(_bench)


def _bench(
    target: Target,
    model: Model = None,
    version: Version = None,
    signature: SignatureName = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="F",
            help="What is sent, as `tfs predict` takes it, or a .jsonl file whose lines are sent in turn; else it is "
            "generated.",
            show_default=False,
        ),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", metavar="N", min=1, help="Rows of a generated request.")] = 1,
    concurrency: Annotated[
        str | None,
        typer.Option(
            "--concurrency",
            metavar="N,N",
            help="Closed loop: so many requests are under way at any time; several are measured in turn. [default: 1]",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            "--rate",
            metavar="R,R",
            help="Open loop: so many requests become due per second, answered or not; several are measured in turn.",
            show_default=False,
        ),
    ] = None,
    duration: Annotated[float, typer.Option("--duration", metavar="S", min=0.1, help="Seconds of each step.")] = 10.0,
    warmup: Annotated[
        float, typer.Option("--warmup", metavar="S", min=0, help="Seconds of load before each that do not count.")
    ] = 2.0,
    connections: Annotated[
        int, typer.Option("--connections", metavar="N", min=1, help="Connections that gRPC requests share.")
    ] = 1,
    processes: Annotated[
        int, typer.Option("--processes", metavar="N", min=1, help="Processes that make the load together.")
    ] = 1,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", min=0.001, help="Seconds that a request may take.")
    ] = 60.0,
    cacert: CaCert = None,
    cert: Cert = None,
    key: Key = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="F.png", help="Draw the latencies into this file.", show_default=False),
    ] = None,
) -> None:
    from tfs.cli.bench_view import check_plot, print_results, results_json, write_plot
    from tfs.cli.console import print_json
    from tfs.serve.client.load_requests import Asked, data_of_load

    steps = _steps(concurrency, rate)
    if plot is not None:
        check_plot(plot)
    address = address_of(target, cacert, cert, key)
    check_names(address, model, version)
    if address is None and (processes, connections) != (1, 1):
        raise UsageError("--processes and --connections are for a server; in process --concurrency is threads")
    sent = data_of_load(data or [])
    if address is None:
        asked = Asked("local", None, signature)
        results = _in_process(Path(target), asked, sent, rows, steps, warmup, duration)
    else:
        asked = Asked(model or "", version, signature)
        shape = {"warmup_seconds": warmup, "seconds": duration, "connections": connections, "timeout_seconds": timeout}
        results = _on_server(address, asked, sent, rows, steps, processes, shape)
    if plot is not None:
        write_plot(plot, target, results)
    if json:
        print_json(results_json(target, asked, results))
    else:
        print_results(target, results)
    if not any(result.requests for result in results):
        code, failure = next(iter(results[0].failures.items()), ("none", None))
        raise TfsError(f"no request was answered well: {code}{f': {failure.message}' if failure else ''}")


def _steps(concurrency: str | None, rate: str | None) -> "list[Step]":
    from tfs.serve.client.load_plan import Step

    if concurrency and rate:
        raise UsageError("--concurrency is for a closed loop, --rate for an open one")
    text, flag = (rate, "--rate") if rate else (concurrency or "1", "--concurrency")
    try:
        values = [float(part) if rate else int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{flag} `{text}` is no list of numbers", f"{flag} 1,4,16") from error
    if not all(0 < value < float("inf") for value in values):
        raise UsageError(f"{flag} `{text}` has a number that is not above 0")
    return [Step(rate=value) if rate else Step(concurrency=int(value)) for value in values]


def _in_process(
    directory: Path,
    asked: "Asked",
    data: "Sequence[RequestData]",
    rows: int,
    steps: "Sequence[Step]",
    warmup: float,
    duration: float,
) -> "list[StepResult]":
    from dataclasses import replace

    from tfs.serve.client.in_process_load import InProcessModel, inputs_of
    from tfs.serve.client.load_requests import requests_of_load
    from tfs.serve.client.request import Method

    # The engine's loop runs predictions; a signature for Classify gets its examples as strings.
    asked = replace(asked, method=Method.PREDICT)
    signatures, hints = inputs_of(directory)
    requests = requests_of_load(asked, data, signatures, rows=rows, hints=hints)
    messages = [request.message().SerializeToString() for request in requests]
    model = InProcessModel(directory)
    try:
        return _measure(
            steps,
            warmup + duration,
            lambda step, tell: model.run_step(messages, step, warmup_seconds=warmup, seconds=duration, progress=tell),
        )
    finally:
        model.close()


def _on_server(
    address: "Address",
    asked: "Asked",
    data: "Sequence[RequestData]",
    rows: int,
    steps: "Sequence[Step]",
    processes: int,
    shape: dict[str, Any],
) -> "list[StepResult]":
    from tfs.serve.client.calls import served_signatures
    from tfs.serve.client.load_generator import run_step
    from tfs.serve.client.load_plan import Load
    from tfs.serve.client.load_requests import requests_of_load

    signatures = served_signatures(address, asked.model, asked.version)
    requests = requests_of_load(asked, data, signatures, rows=rows)
    payloads = tuple(
        request.rest_body() if address.rest else request.message().SerializeToString() for request in requests
    )
    load = Load(address, requests[0].method, requests[0].rest_path, payloads, **shape)
    total = load.warmup_seconds + load.seconds
    return _measure(steps, total, lambda step, tell: run_step(load, step, processes, tell))


def _measure(steps: "Sequence[Step]", seconds: float, run: _Runner) -> "list[StepResult]":
    """Run the steps in turn; the progress bar says how far it is, and how many answers came in the last moment."""
    results = []
    total = seconds * len(steps)
    with progress("bench") as advance:
        for number, step in enumerate(steps):
            last = [0.0, 0]

            def tell(since: float, count: int, number: int = number, step: "Step" = step, last: Any = last) -> None:
                moment, before = last
                now = f": {(count - before) / (since - moment):,.0f} requests/s" if count > before else ""
                last[:] = [since, count]
                advance(f"{step.title}{now}", int(number * seconds + min(since, seconds)), int(total))

            results.append(run(step, tell))
    return results
