"""`tfs warmup`: requests that a server replays before a version becomes available."""

from pathlib import Path
from typing import Annotated

import typer

from tfs.cli.console import err, out, print_json
from tfs.savedmodel.errors import UsageError

__all__ = ["register"]

_HELP = """Write warm-up records into a SavedModel, so that its first requests are as fast as the later ones.

A server replays them before the version becomes available. Records that are there already are replaced.

Example: tfs warmup models/digits/1 --data requests.jsonl
"""


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command(
        "warmup",
        help=_HELP,
        short_help="Write the requests that a server replays before it serves.",
        # A shell makes several words of `--from-log logs/digits.*`.
        context_settings={"allow_extra_args": True},
    )(_warmup)


def _warmup(
    context: typer.Context,
    saved_model: Annotated[
        Path, typer.Argument(metavar="SAVED_MODEL", help="A version directory, as models/digits/1.", show_default=False)
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="F.jsonl|F.npz",
            help="JSON lines, each the body of a REST predict request; or arrays by input, cut by rows.",
            show_default=False,
        ),
    ] = None,
    from_log: Annotated[
        list[str] | None,
        typer.Option(
            "--from-log",
            metavar="F",
            help="Request log of a server: its filename_prefix, or files of it.",
            show_default=False,
        ),
    ] = None,
    signature: Annotated[
        str, typer.Option("--signature", metavar="S", help="The signature, where the data does not name one.")
    ] = "serving_default",
    records: Annotated[
        int | None,
        typer.Option(
            "--records",
            metavar="N",
            min=1,
            max=1000,
            help="How many records: of JSON lines and logs the first N (default all), else N (default 10).",
            show_default=False,
        ),
    ] = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Generate the inputs.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    from dataclasses import asdict

    from tfs.savedmodel.warmup import summarize, warmup_file
    from tfs.savedmodel.warmup_log import add_warmup_from_log
    from tfs.savedmodel.warmup_sources import add_warmup

    if synthetic + (data is not None) + bool(from_log) != 1:
        raise UsageError("give one of --data FILE, --from-log FILE and --synthetic")
    if context.args and not from_log:
        raise UsageError(f"unexpected argument `{context.args[0]}`")
    if from_log:
        found = add_warmup_from_log(saved_model, [*from_log, *context.args], records=records)
        count = found.count
        for note in found.notes:
            err().print(f"warning: {note}", markup=False)
    else:
        count = add_warmup(saved_model, data, signature_name=signature, records=records)
    file = warmup_file(saved_model)
    summary = summarize(saved_model)
    if json:
        print_json({"path": str(file), **(asdict(summary) if summary else {})})
    else:
        out().print(f"{count} records in {file}", markup=False, highlight=False)
