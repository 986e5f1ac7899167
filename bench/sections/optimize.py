"""What `tfs optimize` makes of whole networks: from the records that `bench/optimize.py` keeps of each."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from optimize_record import NetworkRecord, load_networks, table_of
from optimized_networks import NETWORKS
from report import NotMeasuredError, Result, Section, Target, at_least, at_most
from report.markdown import table
from report.section import Record
from settings import Settings

__all__ = ["OPTIMIZE"]

_TOOL = Path(__file__).parents[1] / "optimize.py"
_CONSTANTS = "constants"  # measured for time and memory, no network that anyone serves
_NETWORKS = tuple(name for name in NETWORKS if name != _CONSTANTS)
_FASTER = 0.9
_SAME = 1.02


def _measure(settings: Settings) -> Result:
    """Measure all networks; each writes its own record."""
    done = subprocess.run(
        [sys.executable, _TOOL, "--results", settings.results], stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise RuntimeError("not all networks were measured")
    return Result(figures=_figures(load_networks(settings.results)))


def _read(results: Path) -> Record | None:
    """Put the records of the networks together."""
    records = load_networks(results)
    if not records:
        return None
    latest = max(records.values(), key=lambda record: record.about["Measured"])
    days = sorted(record.about["Measured"].partition(" by ")[0] for record in records.values())
    span = " to ".join(dict.fromkeys((days[0], days[-1])))
    about = latest.about | {"Measured": f"{span} by `python bench/optimize.py`, network by network"}
    return Record(Result(figures=_figures(records)), about, max(record.busy_before for record in records.values()))


def _figures(records: dict[str, NetworkRecord]) -> dict[str, object]:
    return {name: asdict(record) for name, record in records.items()}


def _networks(result: Result) -> dict[str, NetworkRecord]:
    return {name: NetworkRecord(**record) for name, record in result.figures.items()}


def _targets(result: Result) -> list[Target]:
    records = _networks(result)

    def one(name: str, value: Callable[[NetworkRecord], float]) -> float:
        if name not in records:
            raise NotMeasuredError(f"{name} was not measured")
        return value(records[name])

    def each(value: Callable[[NetworkRecord], float]) -> list[float]:
        return [one(name, value) for name in _NETWORKS]

    def slowest(of: int) -> Callable[[NetworkRecord], float]:
        return lambda record: max(ratios[of] for ratios in record.ratios.values())

    return [
        at_most("optimize: batch norms left that can be folded", 0, lambda: max(each(lambda r: r.left)), "{:.0f}"),
        at_most(
            "optimize: nodes of the SSD over those of its frozen graph",
            0.45,
            lambda: one("ssd", lambda record: record.nodes[2] / record.nodes[1]),
        ),
        at_most(
            "optimize: bytes of the SSD over those of its export",
            0.48,
            lambda: one("ssd", lambda record: record.stored[1] / record.stored[0]),
        ),
        at_most("optimize: largest relative error", 1e-4, lambda: max(each(lambda r: r.error)), "{:.1e}"),
        at_most("optimize: time over the original's, worst of all", _SAME, lambda: max(each(slowest(0)))),
        at_least(
            f"optimize: networks that take at most {_FASTER:.2f} of the original's time",
            4,
            lambda: sum(ratio <= _FASTER for ratio in each(slowest(0))),
            "{:.0f}",
        ),
        at_most("optimize: time over Grappler's alone, worst of all", _SAME, lambda: max(each(slowest(1)))),
        at_most(
            "optimize: 118 MB of constants, all passes", 10, lambda: one(_CONSTANTS, lambda r: r.seconds), "{:.1f} s"
        ),
        at_most("optimize: 118 MB of constants, memory over the model", 4, lambda: one(_CONSTANTS, lambda r: r.peak)),
    ]


def _details(result: Result) -> list[str]:
    missing = [name for name in NETWORKS if name not in result.figures]
    notes = [f"Not measured yet: {', '.join(missing)}."] if missing else []
    return [table(*table_of(_networks(result))), *notes]


OPTIMIZE = Section(
    "optimize",
    "tfs optimize on whole networks",
    _measure,
    f"""\
Keras networks with random batch norm statistics, an SSD-style detector over MobileNetV2 with what training leaves
behind (loss, optimizer state, checks, dropout, an Identity everywhere), an LSTM with attention, DeepFM, and a graph of
32 convolutions whose kernels are constants. The original (which TensorFlow's own optimizer, Grappler, rewrites when it
is loaded, as in a server), what Grappler alone makes of the frozen graph, and the result of the preset `serving` answer
in turn; in brackets stand the result's times over those of the other two, medians over the rounds. Up to
{_SAME - 1:.0%} more counts as the same: so much two sessions of one model differ.

Batch norms left: fused ones, and scales that another run would still fold; one in front of an activation (DenseNet) is
a Mul and an Add for good. Memory: the most that the process has used above what it had with TensorFlow imported, over
the bytes of graph and variables; until the result is written, and with the comparison of both models.""",
    _targets,
    _details,
    tools=(),
    read=_read,
)
