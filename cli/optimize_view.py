"""How `tfs optimize` shows transforms and reports to people."""

from typing import TYPE_CHECKING, Any

from tfs.cli.console import err, out

if TYPE_CHECKING:
    from tfs.transforms.optimizing import OptimizeReport
    from tfs.transforms.verify import Verification

__all__ = ["print_report", "print_transforms"]

_MAX_SKIPPED = 20  # lines for people; --json has all


def print_transforms(transforms: list[dict[str, Any]], presets: dict[str, str]) -> None:
    """Print all transforms with their arguments and defaults, and the presets with what they are for."""
    from rich.markup import escape
    from rich.table import Table

    console = out()
    table = Table()
    for title in ("transform", "arguments", "what it does"):
        table.add_column(title, overflow="fold", no_wrap=title != "what it does")
    for entry in transforms:
        name = "\n".join([entry["name"], *entry["aliases"]])
        table.add_row(name, escape("\n".join(map(_argument_text, entry["arguments"]))), escape(entry["summary"]))
    console.print(table)
    table = Table()
    for title in ("preset", "what it is"):
        table.add_column(title, overflow="fold")
    for name, summary in presets.items():
        table.add_row(name, escape(summary))
    console.print(table)


def _argument_text(argument: dict[str, Any]) -> str:
    notes = [argument["type"]]
    if argument["required"]:
        notes.append("required")
    if argument["repeatable"]:
        notes.append("repeatable")
    default = argument["default"]
    text = str(default).lower() if isinstance(default, bool) else default
    assigned = "" if default in (None, "") else f"={text}"
    return f"{argument['name']}{assigned} ({', '.join(notes)})"


def print_report(report: "OptimizeReport") -> None:
    """Print what was done, pass by pass, and what came of it."""
    console = out()
    console.print(_pass_table(report))
    for line in _summary(report):
        console.print(line, markup=False, highlight=False)
    skipped = [(entry.name, skip) for entry in report.passes for skip in entry.skipped]
    for name, skip in skipped[:_MAX_SKIPPED]:
        console.print(f"skipped by {name}: {skip.node}: {skip.reason}", markup=False, highlight=False)
    if len(skipped) > _MAX_SKIPPED:
        console.print(f"... and {len(skipped) - _MAX_SKIPPED} more; --json lists all", markup=False, highlight=False)
    if report.verification is not None and report.verification.slower:
        ratio = report.verification.speed_ratio
        err().print(f"warning: the result is slower than the original ({ratio:.2f}x)", markup=False)


def _pass_table(report: "OptimizeReport") -> Any:
    from rich.table import Table

    from tfs.cli.signature_view import readable_size

    table = Table()
    for title in ("pass", "nodes", "size", "seconds", "done"):
        table.add_column(title, overflow="fold", no_wrap=title in ("pass", "nodes"))
    for entry in report.passes:
        done = ", ".join(f"{count} {what}" for what, count in entry.done.items())
        table.add_row(
            entry.name,
            f"{entry.nodes_before} -> {entry.nodes_after}",
            f"{readable_size(entry.bytes_before)} -> {readable_size(entry.bytes_after)}",
            f"{entry.seconds:.2f}",
            f"failed: {entry.error}" if entry.error else done,
        )
    return table


def _summary(report: "OptimizeReport") -> list[str]:
    from tfs.cli.signature_view import readable_size

    lines = [
        f"written: {report.output}",
        f"nodes: {report.before.nodes} -> {report.after.nodes}",
        f"size: {readable_size(report.before.bytes)} -> {readable_size(report.after.bytes)}",
        f"variables: {len(report.frozen)} frozen, {len(report.kept)} kept",
    ]
    lines.extend(f"kept variable: {name} (the model changes it)" for name in report.kept)
    if report.verification is None:
        return [*lines, "verified: no (--no-verify)"]
    return [*lines, *_verification_lines(report.verification)]


def _verification_lines(verification: "Verification") -> list[str]:
    difference = f"largest difference {verification.largest_difference:.1e} of an output's largest value"
    lines = [f"verified: {verification.requests} requests from {verification.source}, {difference}"]
    lines.extend(f"note: {note}" for note in verification.notes)
    speed = verification.speed_ratio
    milliseconds = f"{verification.original_seconds * 1e3:.2f} ms -> {verification.result_seconds * 1e3:.2f} ms"
    lines.append(f"speed: {speed:.2f}x ({milliseconds} for these requests)")
    return lines
