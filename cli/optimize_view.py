"""How `tfs optimize` shows transforms and reports to people."""

from typing import TYPE_CHECKING, Any

from tfs.cli.console import err, out

if TYPE_CHECKING:
    from tfs.transforms.optimizing import OptimizeReport
    from tfs.transforms.verify import Verification

__all__ = ["facts", "print_report", "print_transforms", "summary"]

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
    console.print(_fact_table(report))
    for line in summary(report):
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


def facts(report: "OptimizeReport") -> list[tuple[str, str, str]]:
    """Return what the model was and is, as rows of name, before and after."""
    from tfs.cli.signature_view import readable_size

    before, after = report.before, report.after
    rows = [
        ("nodes", str(before.nodes), str(after.nodes)),
        ("ops", str(len(before.ops)), str(len(after.ops))),
        ("functions", str(before.functions), str(after.functions)),
        ("graph", readable_size(before.graph_bytes), readable_size(after.graph_bytes)),
        ("constants", readable_size(before.constant_bytes), readable_size(after.constant_bytes)),
        ("variables", readable_size(before.variable_bytes), readable_size(after.variable_bytes)),
    ]
    checked = report.verification
    if checked is not None:
        for entry in checked.latencies:
            name = f"{entry.signature}, batch of {entry.batch_size}"
            rows.append((name, f"{entry.original * 1e3:.2f} ms", f"{entry.result * 1e3:.2f} ms"))
        first, second = checked.load_seconds
        rows.append(("load", f"{first * 1e3:.0f} ms", f"{second * 1e3:.0f} ms"))
    return rows


def _fact_table(report: "OptimizeReport") -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for title in ("model", "before", "after"):
        table.add_column(title, overflow="fold")
    for row in facts(report):
        table.add_row(*map(escape, row))
    return table


def summary(report: "OptimizeReport") -> list[str]:
    """Return what came of it, line by line."""
    lines = [
        "written: nothing (--dry-run)" if report.output is None else f"written: {report.output}",
        f"variables: {len(report.frozen)} frozen, {len(report.kept)} kept",
    ]
    lines.extend(f"kept variable: {name} ({reason})" for name, reason in report.kept.items())
    if report.verification is None:
        return [*lines, "verified: no (--no-verify)"]
    return [*lines, *_verification_lines(report.verification)]


def _verification_lines(verification: "Verification") -> list[str]:
    lines = [f"verified: {verification.requests} requests from {verification.source}"]
    for output in verification.outputs:
        errors = f"{output.absolute:.1e} apart at most, {output.relative:.1e} of its largest value"
        lines.append(f"output {output.output} of {output.signature}: {errors}")
    lines.extend(f"note: {note}" for note in verification.notes)
    milliseconds = f"{verification.original_seconds * 1e3:.2f} ms -> {verification.result_seconds * 1e3:.2f} ms"
    lines.append(f"speed: {verification.speed_ratio:.2f}x ({milliseconds} for these requests)")
    return lines
