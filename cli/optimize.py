"""`tfs optimize`: a SavedModel becomes a smaller, faster one that computes the same."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfs.cli.console import err, out, print_json, progress
from tfs.savedmodel.errors import UsageError

if TYPE_CHECKING:
    from tfs.transforms.optimizing import OptimizeReport
    from tfs.transforms.verify import Verification

__all__ = ["register"]

_HELP = """Fold batch norms and constants of a SavedModel, drop what serving does not need, and check the result.

Variables become constants; signatures, assets, tables and warm-up records stay. The result is run against the original
on its warm-up records, or on generated inputs, and is written only if it computes the same.

Example: tfs optimize models/digits/1 --output models/digits/2
"""
_TRANSFORMS_HELP = """Transforms to run instead of the default ones, as
'fold_constants(ignore_errors=true) remove_nodes(op=Identity)'."""
_MAX_SKIPPED = 20  # lines for people; --json has all


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("optimize", help=_HELP, short_help="Make a SavedModel smaller and faster, and prove it equal.")(
        _optimize
    )


def _optimize(
    context: typer.Context,
    saved_model: Annotated[
        Path, typer.Argument(metavar="SAVED_MODEL", help="A version directory, as models/digits/1.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The version directory to make; must not exist.", show_default=False
        ),
    ] = None,
    transforms: Annotated[
        str | None, typer.Option("--transforms", metavar="LIST", help=_TRANSFORMS_HELP, show_default=False)
    ] = None,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Run original and result and compare.")] = True,
    rtol: Annotated[
        float, typer.Option("--rtol", min=0, help="Allowed difference of floats, relative to an output's largest.")
    ] = 1e-3,
    atol: Annotated[float, typer.Option("--atol", min=0, help="Allowed difference of floats on top of that.")] = 1e-6,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace SAVED_MODEL in one step.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    if (output is None) != in_place:
        raise UsageError("give either --output DIR or --in-place")
    if context.find_root().params["debug"]:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0")
    from tfs.transforms.optimizing import optimize
    from tfs.transforms.verify import Tolerance

    with progress("optimize") as advance:
        report = optimize(
            saved_model,
            output,
            transforms=transforms,
            verification=Tolerance(rtol, atol) if verify else None,
            progress=advance,
        )
    if json:
        print_json(report.to_dict())
    else:
        _print(report)


def _print(report: "OptimizeReport") -> None:
    console = out()
    console.print(_table(report))
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


def _table(report: "OptimizeReport") -> Any:
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
