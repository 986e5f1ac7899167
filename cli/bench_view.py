"""How `tfs bench` shows what it has measured: the number that a person wants first, a table, JSON, a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs.cli.console import err, out
from tfs.savedmodel.errors import TfsError, UsageError

if TYPE_CHECKING:
    from tfs.serve.client.load_requests import Asked
    from tfs.serve.client.load_result import StepResult

__all__ = ["check_plot", "print_results", "results_json", "write_plot"]

_COLUMNS = ("p50", "p90", "p99", "p99.9", "max")
_QUANTILES = (50, 90, 99, 99.9)


def results_json(target: str, asked: "Asked", results: "Sequence[StepResult]") -> dict[str, Any]:
    """Return the result for machines; the step that counts stands first, as for people."""
    from tfs.serve.client.load_result import headline

    first = headline(results).to_dict()
    names = ("throughput", "p50_ms", "p99_ms", "concurrency", "rate")
    return {
        **{name: first[name] for name in names},
        "target": target,
        "model": asked.model,
        "version": asked.version,
        "steps": [
            {
                **result.to_dict(),
                "percentiles_ms": [[quantile, value] for quantile, value in result.percentiles.items()],
            }
            for result in results
        ],
    }


def print_results(target: str, results: "Sequence[StepResult]") -> None:
    """Print the headline, and a table with a row for each step; what keeps it from being believed goes to stderr."""
    from rich.table import Table

    console = out()
    console.print(_headline(target, results), markup=False, highlight=False)
    table = Table("load", "requests/s", *(f"{column} ms" for column in _COLUMNS), "answered", "failed")
    for result in results:
        values = [*(result.percentiles.get(quantile) for quantile in _QUANTILES), result.largest]
        failed = ", ".join(f"{found.count:,} {code}" for code, found in result.failures.items())
        table.add_row(
            result.step.title,
            _number(result.throughput),
            *map(_milliseconds, values),
            f"{result.requests:,}",
            failed or "0",
        )
    console.print(table)
    for line in _remarks(results):
        err().print(line, markup=False, highlight=False)


def _headline(target: str, results: "Sequence[StepResult]") -> str:
    from tfs.serve.client.load_result import headline

    first = headline(results)
    p99 = first.percentiles.get(99)
    tail = f"p99 {p99:.2f} ms" if p99 is not None else f"slowest {first.largest or 0:.2f} ms"
    if first.step.rate is None:
        return f"{_number(first.throughput)} requests/s, {tail}: {target}, {first.step.title}"
    kept = "" if first.kept_up else f", of which {_number(first.throughput)}/s were answered"
    return f"{tail} at {first.step.rate:g} requests/s{kept}: {target}"


def _remarks(results: "Sequence[StepResult]") -> list[str]:
    lines = [
        f"{result.step.title}: {found.count:,} x {code}: {' '.join(found.message.split())[:200]}"
        for result in results
        for code, found in result.failures.items()
    ]
    saturated = [result for result in results if result.saturated]
    if saturated:
        steps = ", ".join(result.step.title for result in saturated)
        busy = max(result.generator_busy or 0 for result in saturated)
        lines.append(
            f"note: the load generator itself was the limit ({steps}: busy {busy:.0%} of the time), the server may do "
            "more; --processes 2 or another machine makes more load"
        )
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def check_plot(file: Path) -> None:
    """Refuse, before anything is measured, a picture that could not be drawn.

    Raises:
        UsageError: it is no .png file.
        TfsError: matplotlib is missing.
    """
    import importlib.util

    if file.suffix != ".png":
        raise UsageError(f"--plot `{file}` is no .png file")
    if importlib.util.find_spec("matplotlib") is None:
        raise TfsError("--plot needs matplotlib, which is not installed", "pip install 'tfs[bench]'")


def write_plot(file: Path, target: str, results: "Sequence[StepResult]") -> None:
    """Draw the latencies by percentile, a line for each step, and beside it latency over throughput.

    Raises:
        TfsError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for result in results:
        # The distance to 100 % on a logarithmic scale: each nine has the same room.
        points = [(100 - quantile, value) for quantile, value in result.percentiles.items()]
        left.plot(*zip(*points, strict=True), marker=".", label=result.step.title)
    left.set(xscale="log", yscale="log", xlabel="percentile", ylabel="latency in ms", title="Latency by percentile")
    left.invert_xaxis()
    shown = (100, 50, 10, 1, 0.1, 0.01)
    left.set_xticks(shown, [f"{100 - rest:g}" for rest in shown])
    left.minorticks_off()
    for quantile in (50, 99):
        points = [
            (result.throughput, result.percentiles[quantile]) for result in results if quantile in result.percentiles
        ]
        right.plot(*zip(*points, strict=True), marker="o", label=f"p{quantile}")
    right.set(xlabel="requests/s", ylabel="latency in ms", title="Latency over throughput")
    right.set_xlim(left=0)
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(f"tfs bench {target}")
    try:
        figure.savefig(file, dpi=120)
    except OSError as error:
        raise TfsError(f"`{file}` cannot be written: {error.strerror}") from error
