"""`tfs optimize`: a SavedModel becomes a smaller, faster one that computes the same."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tfs.cli.console import print_json, progress
from tfs.cli.optimize_page import write_page
from tfs.cli.optimize_view import print_report, print_transforms
from tfs.savedmodel.errors import UsageError

__all__ = ["register"]

_HELP = """Fold batch norms and constants of a SavedModel, drop what serving does not need, and check the result.

Variables become constants; signatures, assets, tables and warm-up records stay. The result is run against the original
on its warm-up records, or on generated inputs, and is written only if it computes the same.

Example: tfs optimize models/digits/1 --output models/digits/2
"""
_TRANSFORMS_HELP = """Transforms to run instead of a preset, as
'fold_constants(ignore_errors=true) remove_nodes(op=Identity)'; names of presets may stand among them."""

_RTOL_HELP = """Allowed difference of floats, relative to an output's largest; 1e-3 if left out, more for transforms
that round by design."""
_DATA_HELP = "Compare on these samples (.jsonl, .npz)."


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("optimize", help=_HELP, short_help="Make a SavedModel smaller and faster, and prove it equal.")(
        _optimize
    )


def _optimize(
    context: typer.Context,
    saved_model: Annotated[
        Path | None,
        typer.Argument(metavar="SAVED_MODEL", help="A version directory, as models/digits/1.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The version directory to make; must not exist.", show_default=False
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="serving (default), size, speed or none.", show_default=False),
    ] = None,
    transforms: Annotated[
        str | None, typer.Option("--transforms", metavar="LIST", help=_TRANSFORMS_HELP, show_default=False)
    ] = None,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Run original and result and compare.")] = True,
    verify_data: Annotated[
        Path | None,
        typer.Option(
            "--verify-data", metavar="FILE", help="Compare on these samples (.jsonl, .npz).", show_default=False
        ),
    ] = None,
    rtol: Annotated[float | None, typer.Option("--rtol", min=0, help=_RTOL_HELP, show_default=False)] = None,
    atol: Annotated[float, typer.Option("--atol", min=0, help="Allowed difference of floats on top of that.")] = 1e-6,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do it all, report, and write nothing.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page too.", show_default=False)
    ] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace SAVED_MODEL in one step.")] = False,
    list_transforms: Annotated[
        bool, typer.Option("--list-transforms", help="Show all transforms with arguments and defaults, and presets.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report (or the list) as JSON.")] = False,
) -> None:
    if list_transforms:
        _list(as_json=json)
        return
    if saved_model is None:
        raise UsageError("SAVED_MODEL is missing", "tfs optimize models/digits/1 --output models/digits/2")
    if not dry_run and (output is None) != in_place:
        raise UsageError("give either --output DIR or --in-place")
    if verify_data is not None and not verify:
        raise UsageError("--verify-data needs --verify")
    if preset is not None and transforms is not None:
        raise UsageError("give either --preset or --transforms", f"--transforms '{preset} ...' adds to a preset")
    if context.find_root().params["debug"]:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0")
    from tfs.transforms.comparing import Tolerance
    from tfs.transforms.optimizing import optimize
    from tfs.transforms.presets import DEFAULT_PRESET

    with progress("optimize") as advance:
        report = optimize(
            saved_model,
            transforms if transforms is not None else preset or DEFAULT_PRESET,
            output=output,
            dry_run=dry_run,
            verify_data=verify_data,
            verification=Tolerance(rtol, atol) if verify else None,
            progress=advance,
        )
    if html is not None:
        write_page(report, html)
    if json:
        print_json(report.to_dict())
    else:
        print_report(report)


def _list(*, as_json: bool) -> None:
    from tfs.transforms.presets import PRESETS
    from tfs.transforms.registry import described_transforms

    presets = {name: preset.summary for name, preset in PRESETS.items()}
    if as_json:
        lists = {name: preset.transforms.split() for name, preset in PRESETS.items()}
        print_json({"transforms": described_transforms(), "presets": lists})
    else:
        print_transforms(described_transforms(), presets)
