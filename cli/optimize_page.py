"""The report of `tfs optimize` as one HTML page that needs nothing else."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from tfs.cli.html_page import bars, table, write_html
from tfs.cli.optimize_view import facts, summary

if TYPE_CHECKING:
    from tfs.transforms.optimizing import OptimizeReport

__all__ = ["write_page"]


def write_page(report: "OptimizeReport", file: Path) -> None:
    """Write the report to `file`: before and after, each pass, how often each op occurs, what was left alone.

    Raises:
        TfsError: the file cannot be written.
    """
    passes = (
        (
            entry.name,
            f"{entry.nodes_before} -> {entry.nodes_after}",
            f"{entry.bytes_before:,} -> {entry.bytes_after:,}",
            f"{entry.seconds:.2f}",
            entry.error or ", ".join(f"{count} {what}" for what, count in entry.done.items()),
        )
        for entry in report.passes
    )
    skipped = ((entry.name, skip.node, skip.reason) for entry in report.passes for skip in entry.skipped)
    parts = [
        *(f"<p>{escape(line)}</p>" for line in summary(report)),
        table(("model", "before", "after"), facts(report)),
        "<h2>Passes</h2>",
        table(("pass", "nodes", "bytes", "seconds", "done"), passes),
        "<h2>Ops</h2>",
        bars("op", {"before": report.before.ops, "after": report.after.ops}),
        "<h2>Left alone</h2>",
        table(("pass", "node", "reason"), skipped),
    ]
    write_html(file, f"tfs optimize {report.saved_model}", parts)
