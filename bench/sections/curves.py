"""What more costs: more models, more connections, more rows, more bytes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from answers import ask_grpc, check_rest
from loads import CALLER, Call
from models import Model, predict_request
from report import NotMeasuredError, Result, Section, Table
from report.curves import Curve, draw
from server import PREDICT, Server, serve
from settings import Cell, Settings, closed_grpc, closed_rest, empty_rpc, in_process, predict_call, take_turns

__all__ = ["CURVES"]

_MODELS = (1, 2, 4, 8, 16, 32)
_CONNECTIONS = (1, 4, 16, 64, 256, 1024, 4096)
_CLIENTS = 2  # with many rows in each request
_ROWS = tuple(2**i for i in range(11))
_BYTES = (100, 1000, 10_000, 100_000, 2**20, 2**23, 2**26)
_BY_MODELS, _BY_CONNECTIONS, _BY_ROWS, _BY_BYTES = (
    "Loaded models",
    "Connections",
    "Rows in a request",
    "Bytes of a request",
)
_SERVED, _LIMIT = "gRPC", "in process"


def _measure(settings: Settings) -> Result:
    result = Result(figures={"models": {"resident MiB": [], "seconds to ready": []}})
    result.tables[_BY_MODELS] = _by_models(settings, result.figures["models"])
    result.tables[_BY_CONNECTIONS] = _by_connections(settings)
    result.tables[_BY_ROWS] = _by_rows(settings)
    result.tables[_BY_BYTES] = _by_bytes(settings)
    return result


def _by_models(settings: Settings, figures: dict[str, list[float]]) -> Table:
    """Ask n models in turn, over 32 connections."""
    model = settings.model("half_plus_two")
    table = Table()
    for count in _MODELS:
        names = [f"{model.name}_{i}" for i in range(count)]
        config = settings.scratch / f"models_{count}.pbtxt"
        entry = 'config {{ name: "{}" base_path: "{}" model_platform: "tensorflow" }}'
        entries = "\n".join(entry.format(name, model.base_path.resolve()) for name in names)
        config.write_text(f"model_config_list {{\n{entries}\n}}\n")
        with Server(f"--model_config_file={config}") as server:
            urls = [server.rest_url(name) for name in names]
            check_rest(urls[-1], model)
            cell = closed_rest(settings, urls, model.body(), 32)
            table.rows |= take_turns(settings, _BY_MODELS, {str(count): cell}).rows
            figures["resident MiB"].append(server.resident_mib())
            figures["seconds to ready"].append(server.seconds_to_ready)
    return table


def _by_connections(settings: Settings) -> Table:
    """One request at a time on each of n connections, and the empty RPC the same way."""
    model = settings.model("half_plus_two")
    with serve(model) as server:
        call = predict_call(server.grpc_address, model)
        cells: dict[str, Cell | str] = {}
        for count in _CONNECTIONS:
            cells[_point(_SERVED, count)] = closed_grpc(settings, call, count, 1)
            cells[_point("empty RPC", count)] = empty_rpc(settings, server.grpc_address, count, 1)
        return take_turns(settings, _BY_CONNECTIONS, cells, quick=True)


def _by_rows(settings: Settings) -> Table:
    """Two clients with n rows of DeepFM a request, and the loop in process with the same."""
    model = settings.model("deepfm_ids")
    with serve(model) as server:
        cells: dict[str, Cell | str] = {}
        for count in _ROWS:
            call = predict_call(server.grpc_address, model, count)
            cells[_point(_SERVED, count)] = closed_grpc(settings, call, _CLIENTS, 1, factor=count)
            cells[_point(_LIMIT, count)] = in_process(
                model, replace(CALLER, threads=_CLIENTS), rows=count, factor=count
            )
        return take_turns(settings, _BY_ROWS, cells, unit="rows/s", quick=True)


def _by_bytes(settings: Settings) -> Table:
    """One stream with n bytes of floats a request, which are summed."""
    model = settings.model("tensors")
    with serve(model) as server:
        cells: dict[str, Cell | str] = {str(count): _sum_of(settings, server, model, count) for count in _BYTES}
        return take_turns(settings, _BY_BYTES, cells, unit="MB/s", quick=True)


def _sum_of(settings: Settings, server: Server, model: Model, count: int) -> Cell:
    message = predict_request(model.name, {"x": np.ones(count // 4, np.float32)})
    _, size = ask_grpc(server.grpc_address, message)
    return closed_grpc(settings, Call(server.grpc_address, PREDICT, message, size), 1, 1, factor=count / 1e6)


def _point(line: str, x: int) -> str:
    return f"{line}, {x}"


def _line(table: Table, points: Sequence[int], line: str = "") -> tuple[list[int], list[float]]:
    """Return the points that were measured, with their rates."""
    rates: dict[int, float] = {}
    for x in points:
        try:
            rates[x] = table.rate(_point(line, x) if line else str(x))
        except NotMeasuredError:
            continue
    return list(rates), list(rates.values())


def _draw(result: Result, file: Path) -> None:
    models, connections, rows, tensors = (
        result.tables[title] for title in (_BY_MODELS, _BY_CONNECTIONS, _BY_ROWS, _BY_BYTES)
    )
    draw(
        [
            Curve("loaded models", "REST requests/s", {"all asked in turn": _line(models, _MODELS)}, logarithmic=False),
            *(
                Curve("loaded models", what, {"tfs serve": (_MODELS, values)}, logarithmic=False)
                for what, values in result.figures["models"].items()
            ),
            Curve(
                "connections, one request at a time on each",
                "gRPC requests/s",
                {line: _line(connections, _CONNECTIONS, line) for line in (_SERVED, "empty RPC")},
            ),
            Curve("rows in a request", "DeepFM rows/s", {line: _line(rows, _ROWS, line) for line in (_SERVED, _LIMIT)}),
            Curve("bytes of a request", "MB/s, one stream", {_SERVED: _line(tensors, _BYTES)}),
        ],
        file,
    )


def _details(result: Result) -> list[str]:
    figures = result.figures["models"]
    first, last = (
        f"{_MODELS[i]} loaded: {figures['resident MiB'][i]:.0f} MiB, ready after {figures['seconds to ready'][i]:.2f} s"
        for i in (0, -1)
    )
    return [f"Models {first}; {last}."]


CURVES = Section(
    "curves",
    "Cost curves",
    _measure,
    """\
What more of something costs, each curve in a closed loop. What to expect of their shapes:

- **Loaded models** (the trivial one under many names, all asked in turn over 32 REST connections): a request looks its
  model up in a hash map of an immutable snapshot, so the rate should not depend on their number. Memory and time to
  ready grow by the same amount for each, a session with its graph.
- **Connections** (one request at a time on each): the rate rises until the cores have always something to do, then
  falls slowly, as each wake-up of a thread finds fewer requests on each of more sockets. The empty RPC bends where
  Predict bends: it is the network's curve. Latency beyond the bend is connections divided by rate.
- **Rows in a request** (DeepFM, two clients): each run has a fixed price, shared by its rows, so rows/s rise until the
  arithmetic of a row is all that is left; the loop in process has the same shape, and the distance to it is the price
  of a request, which more rows share as well.
- **Bytes of a request** (a sum of floats, one stream): first the price of a request is shared by more bytes; then the
  copies count, from socket to buffer and from buffer to tensor; past the CPU's caches, memory that is mapped anew for
  each request has the last word.""",
    details=_details,
    draw=_draw,
)
