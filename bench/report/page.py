"""The page: docs/benchmarks.md from the records of all sections."""

from collections.abc import Sequence

from .markdown import latency, paragraphs, rate_range, table
from .result import Table
from .section import Record, Section

__all__ = ["render"]

# Cores; above it somebody else works on the machine.
_QUIET = 0.1

_HOW_TO_READ = """\
Each figure is the median over the rounds, the brackets hold the lowest and highest round. The rows of a table take
turns in each round, so that what else the machine does meets all of them. Ratios and differences are taken within a
round, where both sides are measured within seconds, and the median of these is shown: they say more than the figures
themselves when the machine is not quiet.

**In process** runs the model in a loop inside the engine with no network, with the plan of execution that gives the
most: more than this the model cannot do here. The **empty RPC** is `grpc.health.v1.Health/Check` on the same server
with the same load: more than this the network path cannot do. Both run on the same cores as everything else, and so do
the load generators, which take their share.

**Closed loop** (h2load): each stream sends its next request when it has its answer, so the server sets the pace; the
latency is mostly time in a queue that the load itself has made. **Open loop** (ghz): requests are due at a fixed rate,
answered or not, and the latency counts from the moment when a request was due, so that a stall is not hidden by
requests that were never sent; up to 1 ms of it is the client's timer.

Before anything is measured the answers are compared with those of TensorFlow's Python, and a closed loop with a single
failed request ends its section without a result."""


def render(sections: Sequence[tuple[Section, Record | None]]) -> str:
    """Return the page; a section that was never measured says so."""
    targets = [
        [target.text, target.measured, target.verdict]
        for section, record in sections
        if record
        for target in section.targets(record.result)
    ]
    parts = [
        "# Benchmarks",
        "Written by `python bench/run.py` (`make bench`) from the records of its sections; each names its own date,\n"
        "machine and command, since each can be measured again alone. How to read it stands at the end.",
        "## Targets",
        table(["target", "measured", ""], targets) if targets else "None was measured yet.",
    ]
    for section, record in sections:
        parts += _section(section, record)
    return paragraphs([*parts, "## How to read it", _HOW_TO_READ])


def _section(section: Section, record: Record | None) -> list[str]:
    head = [f"## {section.title}", section.text]
    if record is None:
        return [*head, f"Not measured yet: `python bench/run.py --only {section.name}`."]
    about = record.about | {"Used by other processes before": f"{record.busy_before:.2f} cores"}
    parts = [*head, "  \n".join(f"{key}: {value}" for key, value in about.items())]
    if record.busy_before > _QUIET:
        parts.append("**The machine was not quiet: take these figures as provisional.**")
    for title, rows in record.result.tables.items():
        parts += [f"### {title}", _samples(rows)]
    parts += section.details(record.result)
    if section.draw:
        parts.append(f"![{section.title}](benchmarks/{section.name}.png)")
    return parts


def _samples(rows: Table) -> str:
    lines = []
    for title, samples in rows.rows.items():
        if isinstance(samples, str):
            lines.append([title, f"not measured: {samples}", "", "", ""])
            continue
        latencies = [rows.p50, rows.p99, rows.mean] if all(sample.p50 is not None for sample in samples) else []
        cells = [latency(value(title)) for value in latencies] or ["", "", ""]
        lines.append([title, rate_range([sample.rate for sample in samples]), *cells])
    return table(["", rows.unit, "p50", "p99", "mean"], lines)
