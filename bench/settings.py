"""The settings of a run, and the one way in which rows are measured: in turns."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from answers import check_grpc
from loads import Call, Sample, grpc_load, in_process_load, rest_load
from loads.in_process import Plan
from models import Model, get_model
from report import Table
from server import PREDICT

__all__ = ["Cell", "Settings", "closed_grpc", "closed_rest", "empty_rpc", "in_process", "predict_call", "take_turns"]

Cell = Callable[[float], Sample]
_WARM_UP_SECONDS = 1.0
_HEALTH = "/grpc.health.v1.Health/Check"
_HEALTH_REPLY_BYTES = 2  # HealthCheckResponse { status: SERVING }


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    Attributes:
        rounds: how often each row is measured.
        seconds: how long each time.
        models: folder with the models, which are made there when they are missing.
        scratch: folder for files of the moment.
        results: folder of the records, for a section that keeps several.
        standin: folder with the built C++ stand-in, None if there is none.
        peers: folder with the launchers of the Python peers, None if there is none.
        peer_systems: regular expression for the names of the peers to measure.
    """

    rounds: int
    seconds: float
    models: Path
    scratch: Path
    results: Path
    standin: Path | None = None
    peers: Path | None = None
    peer_systems: str = ""

    def model(self, name: str) -> Model:
        """Return a model."""
        return get_model(name, self.models)


def take_turns(
    settings: Settings, title: str, cells: Mapping[str, Cell | str], *, unit: str = "requests/s", quick: bool = False
) -> Table:
    """Measure each cell once per round, one after the other; a cell that is a string says why it cannot be measured.

    Before the first round each is run for a second, unless `quick`: some cells warm up by themselves.
    """
    runnable = {name: cell for name, cell in cells.items() if not isinstance(cell, str)}
    for cell in () if quick else runnable.values():
        cell(min(_WARM_UP_SECONDS, settings.seconds))
    samples: dict[str, list[Sample]] = {name: [] for name in runnable}
    for number in range(settings.rounds):
        for name, cell in runnable.items():
            sample = cell(settings.seconds)
            samples[name].append(sample)
            print(
                f"{title}  round {number + 1}/{settings.rounds}  {name}: {sample.rate:,.4g} {unit}",
                file=sys.stderr,
                flush=True,
            )
    return Table(unit, {name: cell if isinstance(cell, str) else samples[name] for name, cell in cells.items()})


def predict_call(address: str, model: Model, rows: int = 1) -> Call:
    """Return the Predict call of the model's rows, after its answer was found to be right."""
    return Call(address, PREDICT, model.message(rows), check_grpc(address, model, rows))


def closed_grpc(  # noqa: PLR0913  the shape of a load
    settings: Settings, call: Call, clients: int, streams: int, *, factor: float = 1, cpus: str | None = None
) -> Cell:
    """Return the cell of a call in a closed loop; its rate counts `factor` per call."""

    def cell(seconds: float) -> Sample:
        sample = grpc_load(call, clients=clients, streams=streams, seconds=seconds, scratch=settings.scratch, cpus=cpus)
        return sample.scaled(factor)

    return cell


def empty_rpc(settings: Settings, address: str, clients: int, streams: int) -> Cell:
    """Return the cell of the health check in a closed loop."""
    return closed_grpc(settings, Call(address, _HEALTH, b"", _HEALTH_REPLY_BYTES), clients, streams)


def closed_rest(  # noqa: PLR0913  the shape of a load
    settings: Settings,
    urls: list[str],
    body: bytes,
    connections: int,
    *,
    streams: int | None = None,
    factor: float = 1,
) -> Cell:
    """Return the cell of a REST request in a closed loop, sent to the URLs in turn; each counts as `factor`.

    Over HTTP/1.1, or over HTTP/2 with `streams` at a time on each connection.
    """

    def cell(seconds: float) -> Sample:
        sample = rest_load(
            urls, body, connections=connections, streams=streams, seconds=seconds, scratch=settings.scratch
        )
        return sample.scaled(factor)

    return cell


def in_process(model: Model, plan: Plan, *, rows: int = 1, factor: float = 1, cpus: str | None = None) -> Cell:
    """Return the cell of the loop in the engine; its rate counts `factor` per run."""
    return lambda seconds: in_process_load(model, plan, seconds=seconds, rows=rows, cpus=cpus).scaled(factor)
