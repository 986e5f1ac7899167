"""`tfs warmup`: requests that a server replays before a version becomes available."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfs.cli.console import err, out, print_json, progress
from tfs.savedmodel.errors import UsageError

if TYPE_CHECKING:
    from tfs.savedmodel.warmup_summary import WarmupSummary
    from tfs.serve.warmup_measurement import Latencies

__all__ = ["register"]

_HELP = """Write warm-up records into a SavedModel, so that its first requests are as fast as the later ones.

A server replays them before the version becomes available. Each is run first, and a bad one changes nothing. Records
that are there already are replaced, unless --append keeps them.

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
            metavar="F.jsonl|F.npz|F.tfrecord",
            help="JSON lines, each the body of a REST predict request; arrays by input, cut by rows; or tf.Examples.",
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
        str | None,
        typer.Option(
            "--signature",
            metavar="S",
            help="The signature, where the data names none (default serving_default; of generated inputs: every one).",
            show_default=False,
        ),
    ] = None,
    records: Annotated[
        int | None,
        typer.Option(
            "--records",
            metavar="N",
            min=1,
            max=1000,
            help="How many records: of JSON lines, examples and logs the first N (default all), else N (default 10).",
            show_default=False,
        ),
    ] = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Generate the inputs.")] = False,
    batching_parameters_file: Annotated[
        Path | None,
        typer.Option(
            "--batching_parameters_file",
            "--batching-parameters-file",
            metavar="F",
            help="The server's; adds a record of each batch size that it allows, for each signature.",
            show_default=False,
        ),
    ] = None,
    append: Annotated[bool, typer.Option("--append", help="Keep the records that are there already.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Serve the version with and without its records, and compare latencies.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    from tfs.savedmodel.warmup import warmup_file
    from tfs.savedmodel.warmup_summary import summarize

    sources = synthetic + (data is not None) + bool(from_log)
    if sources > 1 or (not sources and not measure):
        raise UsageError("give one of --data FILE, --from-log FILE and --synthetic")
    if context.args and not from_log:
        raise UsageError(f"unexpected argument `{context.args[0]}`")
    if from_log and batching_parameters_file:
        raise UsageError(
            "--batching_parameters_file is for --data and --synthetic; a log has the sizes of its requests"
        )
    if from_log:
        _write_log(saved_model, [*from_log, *context.args], records, append=append)
    elif sources:
        _write(saved_model, data, signature, records, batching_parameters_file, append=append)
    latencies = _measure(saved_model) if measure else None
    _print(warmup_file(saved_model), summarize(saved_model), latencies, as_json=json)


def _write(
    saved_model: Path,
    data: Path | None,
    signature: str | None,
    records: int | None,
    batching_parameters_file: Path | None,
    *,
    append: bool,
) -> None:
    from tfs.savedmodel.warmup_sources import Selection, add_warmup
    from tfs.serve.warmup_trial import batch_sizes_of, trial_of

    sizes = tuple(batch_sizes_of(batching_parameters_file)) if batching_parameters_file else ()
    trial = trial_of(saved_model, batching_parameters_file)
    add_warmup(saved_model, data, Selection(signature, records, sizes), append=append, check=trial)


def _write_log(saved_model: Path, sources: list[str], records: int | None, *, append: bool) -> None:
    from tfs.savedmodel.warmup_log import add_warmup_from_log
    from tfs.serve.warmup_trial import trial_of

    found = add_warmup_from_log(saved_model, sources, records=records, append=append, check=trial_of(saved_model))
    for note in found.notes:
        err().print(f"warning: {note}", markup=False)


def _measure(saved_model: Path) -> "dict[str, Latencies]":
    from tfs.serve.warmup_measurement import measure

    with progress("serving the version with and without its records"):
        return measure(saved_model)


def _print(
    file: Path, summary: "WarmupSummary | None", latencies: "dict[str, Latencies] | None", *, as_json: bool
) -> None:
    from dataclasses import asdict

    from tfs.cli.signature_view import readable_size

    if as_json:
        counts = {key: value for key, value in asdict(summary).items() if key != "content"} if summary else {}
        measured = {name: asdict(latency) for name, latency in latencies.items()} if latencies else None
        print_json({"path": str(file), **counts, "latencies": measured})
        return
    if summary is not None:
        text = f"{summary.records} records, {readable_size(summary.size)}, in {file}"
        out().print(text, markup=False, highlight=False)
    if latencies is not None:
        from rich.table import Table

        table = Table("warm-up", "load", "first request", "p50", "p99", "after a pause", "first / p50")
        for name, found in latencies.items():
            times = (found.load_ms, found.first_ms, found.p50_ms, found.p99_ms, found.rested_ms)
            table.add_row(name, *(f"{time:.2f} ms" for time in times), f"{found.first_ms / found.p50_ms:.1f}")
        out().print(table)
