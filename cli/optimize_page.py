"""The report of `tfs optimize` as one HTML page that needs nothing else."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from tfs.cli.optimize_view import facts, summary
from tfs.savedmodel.errors import TfsError

if TYPE_CHECKING:
    from tfs.transforms.optimizing import OptimizeReport

__all__ = ["write_page"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .2rem .8rem; border-bottom: 1px solid #ddd }
th, td { text-align: left; vertical-align: top } .bar { height: .7rem; min-width: 1px }
.before { background: #b9c4d0 } .after { background: #2f7d4f }
"""
_BAR_WIDTH = 24  # rem, of the most frequent op


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
    title = f"tfs optimize {report.saved_model}"
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(line)}</p>" for line in summary(report)),
        _table(("model", "before", "after"), facts(report)),
        "<h2>Passes</h2>",
        _table(("pass", "nodes", "bytes", "seconds", "done"), passes),
        "<h2>Ops</h2>",
        _histogram(report),
        "<h2>Left alone</h2>",
        _table(("pass", "node", "reason"), skipped),
    ]
    try:
        file.write_text("\n".join(parts) + "\n", encoding="utf-8")
    except OSError as error:
        raise TfsError(f"`{file}` cannot be written: {error.strerror}") from error


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}\n</table>"


def _histogram(report: "OptimizeReport") -> str:
    before, after = report.before.ops, report.after.ops
    names = sorted(before.keys() | after.keys(), key=lambda op: (-max(before.get(op, 0), after.get(op, 0)), op))
    most = max((*before.values(), *after.values()), default=1)
    rows = []
    for op in names:
        counts = (before.get(op, 0), after.get(op, 0))
        bars = "".join(
            f'<div class="bar {kind}" style="width: {count / most * _BAR_WIDTH:.2f}rem"></div>'
            for kind, count in zip(("before", "after"), counts, strict=True)
        )
        rows.append(f"<tr><td>{escape(op)}</td><td>{counts[0]}</td><td>{counts[1]}</td><td>{bars}</td></tr>")
    return "<table><tr><th>op</th><th>before</th><th>after</th><th></th></tr>\n" + "\n".join(rows) + "\n</table>"
