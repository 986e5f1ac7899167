"""Memory over many versions: what a swap leaves behind."""

from pathlib import Path

from answers import check_grpc
from report import Result, Section, Target, at_most
from report.curves import Curve, draw
from server import serve
from settings import Settings
from versions import Versions

__all__ = ["MEMORY"]

_SWAPS = 50
_FIGURE = "resident MiB"


def _measure(settings: Settings) -> Result:
    versions = Versions(settings.model("table"), settings.scratch)
    with serve(versions.model) as server:
        check_grpc(server.grpc_address, versions.model)
        resident = [server.resident_mib()]
        for version in range(2, _SWAPS + 2):
            versions.swap(server, version)
            check_grpc(server.grpc_address, versions.model)
            resident.append(server.resident_mib())
            print(f"swap {version - 1}/{_SWAPS}: {resident[-1]:.0f} MiB", flush=True)
    return Result(figures={_FIGURE: resident})


def _growth(result: Result) -> float:
    resident = result.figures[_FIGURE]
    return float(resident[-1] / resident[1])


def _details(result: Result) -> list[str]:
    start, first, *_, last = result.figures[_FIGURE]
    most = max(result.figures[_FIGURE])
    return [
        f"Resident before the first swap {start:.0f} MiB, after it {first:.0f} MiB, after the {_SWAPS}th {last:.0f} "
        f"MiB; the most after any swap was {most:.0f} MiB."
    ]


def _targets(result: Result) -> list[Target]:
    return [at_most(f"memory after {_SWAPS} swaps over that after the first", 1.1, lambda: _growth(result))]


def _draw(result: Result, file: Path) -> None:
    resident = result.figures[_FIGURE]
    curve = Curve("swaps", "resident MiB", {"tfs serve": (list(range(len(resident))), resident)}, logarithmic=False)
    draw([curve], file)


MEMORY = Section(
    "memory",
    "Memory over 50 swaps",
    _measure,
    """\
A model of 100 MB is exchanged for a new version of itself, again and again; after each exchange the old version is
unloaded, one request is answered, and the memory of the process is read.""",
    _targets,
    _details,
    _draw,
    tools=(),
)
