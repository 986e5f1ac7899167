"""What was measured, as the tables of docs/benchmarks.md; the terminal shows the same text."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from load import Sample

from tfs.savedmodel.tensorflow_paths import tensorflow_version
from tfs.serve import _engine

__all__ = ["ModelResult", "render"]

# Title of a row by the key under which its samples are kept.
_ROWS = {
    "in process": "(a) in-process loop, one thread per core",
    "empty 1": "(b) empty RPC, 1 stream",
    "predict 1": "(c) gRPC Predict, 1 stream",
    "rest 1": "(d) REST predict, 1 connection",
    "empty 8x16": "(b) empty RPC, 8 clients x 16 streams",
    "predict 8x16": "(c) gRPC Predict, 8 clients x 16 streams",
    "rest 32": "(d) REST predict, 32 connections",
}
_RATIOS = {
    "c/b, Predict over the empty RPC, 1 stream": ("predict 1", "empty 1"),
    "c/b, Predict over the empty RPC, 8 x 16 streams": ("predict 8x16", "empty 8x16"),
    "d/b, REST at 1 connection over the empty RPC at 1 stream": ("rest 1", "empty 1"),
    "d/b, REST at 32 connections over the empty RPC at 8 x 16 streams": ("rest 32", "empty 8x16"),
    "c/a, Predict at 8 x 16 streams over the in-process loop": ("predict 8x16", "in process"),
}

_HOW_TO_READ = """\
(a) runs the model in a loop inside the engine with no network: more than this the model cannot do here. (b) is
`grpc.health.v1.Health/Check` on the same server with the same load: more than this the network path cannot do. (c) and
(d) are the product. The load generator runs on the same cores and takes its share of them, so c/a says how much of the
machine is left to the model when clients and server share it. Latency is what the client sees; with 128 requests at a
time it is mostly time in a queue. Each figure is the median over the rounds, the brackets hold the lowest and highest
round; the rows take turns in each round, so that what else the machine does meets all of them. Ratios and differences
are taken within a round, where both sides are measured within seconds, and the median of these is shown: they say more
than the figures themselves when the machine is not quiet. Before and after, the answers of both protocols are compared
with TensorFlow's own; a single failed request ends the run without a result."""


@dataclass(frozen=True)
class ModelResult:
    """What was measured of one model.

    Attributes:
        name: of the model.
        samples: the samples of each row, one per round.
        seconds_to_ready: of each start of the server.
        resident_mib: memory of the server after the load.
    """

    name: str
    samples: dict[str, list[Sample]]
    seconds_to_ready: list[float]
    resident_mib: float

    def p50(self, row: str) -> float:
        """Return the median of the rounds' medians of the latency in microseconds."""
        return median(sample.p50 for sample in self.samples[row] if sample.p50 is not None)

    def p99(self, row: str) -> float:
        """Return the median of the rounds' 99th percentiles of the latency in microseconds."""
        return median(sample.p99 for sample in self.samples[row] if sample.p99 is not None)

    def ratio(self, above: str, below: str) -> float:
        """Return the median of the rounds' ratios of requests per second."""
        pairs = zip(self.samples[above], self.samples[below], strict=True)
        return median(one.rate / other.rate for one, other in pairs)

    def added_p50(self, row: str, limit: str) -> float:
        """Return the median of the rounds' differences between two rows' medians of the latency in microseconds."""
        pairs = zip(self.samples[row], self.samples[limit], strict=True)
        return median((one.p50 or 0) - (other.p50 or 0) for one, other in pairs)


def render(results: Sequence[ModelResult], *, command: str, rounds: int, seconds: float, load_before: float) -> str:
    """Return the page; the targets are those of the first model.

    Args:
        results: of each model.
        command: what was run.
        rounds: how often each row was measured.
        seconds: how long each time.
        load_before: the machine's load average before the run, which is other people's.
    """
    parts = [
        "# Benchmarks",
        f"Written by `{command}`: each row was measured {rounds} x {seconds:g} s. How to read it stands below.",
        _table(["", ""], _machine(load_before)),
        "## Targets",
        _table(["target", "measured", ""], _targets(results[0])),
    ]
    for result in results:
        parts += [
            f"## {result.name}",
            _table(["", "requests/s", "p50", "p99"], [_row(result, row) for row in _ROWS]),
            _table(["ratio", result.name], [_ratio(result, title) for title in _RATIOS]),
            f"The server was ready {median(result.seconds_to_ready):.2f} s after the start of its process and held "
            f"{result.resident_mib:.0f} MiB after the load.",
        ]
    return "\n\n".join([*parts, "## How to read it", _HOW_TO_READ]) + "\n"


def _targets(result: ModelResult) -> list[list[str]]:
    share = result.ratio("predict 8x16", "empty 8x16")
    distance = result.added_p50("predict 1", "empty 1")
    ready = median(result.seconds_to_ready)
    return [
        ["Predict at 8 x 16 streams is at least 0.5 of the empty RPC", f"{share:.2f}", _met(share >= 0.5)],
        ["p50 at one stream within 100 us of the empty RPC", f"{distance:+.0f} us", _met(distance <= 100)],
        ["ready in less than 2.5 s", f"{ready:.2f} s", _met(ready < 2.5)],
    ]


def _met(reached: bool) -> str:
    return "met" if reached else "MISSED"


def _row(result: ModelResult, row: str) -> list[str]:
    rates = [sample.rate for sample in result.samples[row]]
    cells = [_ROWS[row], f"{median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})"]
    if result.samples[row][0].p50 is None:
        return [*cells, "", ""]
    return [*cells, _latency(result.p50(row)), _latency(result.p99(row))]


def _latency(microseconds: float) -> str:
    return f"{microseconds:.0f} us" if microseconds < 1000 else f"{microseconds / 1000:.2f} ms"


def _ratio(result: ModelResult, title: str) -> list[str]:
    return [title, f"{result.ratio(*_RATIOS[title]):.2f}"]


def _machine(load_before: float) -> list[list[str]]:
    return [
        ["date", datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")],
        ["machine", f"{_cpu()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"],
        ["load average before the run", f"{load_before:.2f}"],
        ["engine", _engine.__version__],
        ["TensorFlow", tensorflow_version()],
        ["Python", platform.python_version()],
        ["load generators", f"h2load {_version('h2load', '--version')}, wrk {_version('wrk', '-v')}"],
    ]


def _cpu() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.processor()


def _version(tool: str, flag: str) -> str:
    # wrk prints its version with exit code 1.
    output = subprocess.run([tool, flag], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+", output.stdout + output.stderr)
    return found[0] if found else "unknown"


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table that can also be read as it is."""
    widths = [max(3, *(len(row[column]) for row in [head, *rows])) for column in range(len(head))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])
