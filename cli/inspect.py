"""`tfs inspect`: what is in a SavedModel, without TensorFlow."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfs.cli.console import out, print_json

if TYPE_CHECKING:
    from tfs.savedmodel.description import Description
    from tfs.savedmodel.warmup import RecordSummary

__all__ = ["register"]

_HELP = """Show what is in a SavedModel: signatures, sizes, ops, assets, warm-up records, and what would not work.

TensorFlow is not loaded: an answer takes a fraction of a second.

Example: tfs inspect models/digits/1 --ops
"""


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("inspect", help=_HELP, short_help="Show what is in a SavedModel, and what would not work.")(_inspect)


def _inspect(
    saved_model: Annotated[
        Path, typer.Argument(metavar="SAVED_MODEL", help="A version directory, as models/digits/1.", show_default=False)
    ],
    signature: Annotated[
        str | None, typer.Option("--signature", metavar="S", help="Show this signature only.", show_default=False)
    ] = None,
    ops: Annotated[bool, typer.Option("--ops", help="Show how often each op occurs.")] = False,
    warmup: Annotated[bool, typer.Option("--warmup", help="Show each warm-up record.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; it always has the ops.")] = False,
) -> None:
    from dataclasses import replace

    from tfs.savedmodel.description import describe
    from tfs.savedmodel.reading import signature_named
    from tfs.savedmodel.warmup import summarize_records

    description = describe(saved_model)
    if signature is not None:
        chosen = signature_named(description.signatures, signature, saved_model)
        description = replace(description, signatures={signature: chosen})
    records = summarize_records(saved_model) if warmup else None
    if json:
        print_json(_as_json(description, records))
    else:
        _print_tables(description, records, with_ops=ops)


def _as_json(description: "Description", records: "list[RecordSummary] | None") -> dict[str, Any]:
    from dataclasses import asdict

    from tfs.cli.signature_view import signature_json

    warmup = None if description.warmup is None else asdict(description.warmup)
    if warmup is not None and records is not None:
        warmup["content"] = [_record_json(record) for record in records]
    return {
        "path": str(description.path),
        "tags": list(description.tags),
        "tensorflow_version": description.tensorflow_version,
        "graph_size": description.graph_size,
        "variables_size": description.variables_size,
        "nodes": description.nodes,
        "functions": description.functions,
        "function_nodes": description.function_nodes,
        "signatures": {name: signature_json(signature) for name, signature in description.signatures.items()},
        "assets": description.assets,
        "ops": description.ops,
        "custom_ops": description.custom_ops,
        "warmup": warmup,
        "problems": list(description.problems),
    }


def _record_json(record: "RecordSummary") -> dict[str, Any]:
    inputs = {alias: {"dtype": dtype, "shape": list(shape)} for alias, (dtype, shape) in record.inputs.items()}
    return {"kind": record.kind, "signature_name": record.signature_name, "inputs": inputs}


def _print_tables(description: "Description", records: "list[RecordSummary] | None", *, with_ops: bool) -> None:
    from tfs.cli.signature_view import shape_text, signature_table

    console = out()
    console.print(_table((), _facts(description)))
    console.print(signature_table(description.signatures))
    if with_ops:
        console.print(_table(("op", "count"), ((op, str(count)) for op, count in description.ops.items())))
    if records is not None:
        rows = (
            (str(number), record.kind, record.signature_name, alias, dtype, shape_text(shape))
            for number, record in enumerate(records)
            for alias, (dtype, shape) in (record.inputs or {"": ("", ())}).items()
        )
        console.print(_table(("record", "kind", "signature", "input", "dtype", "shape"), rows))
    for problem in description.problems:
        console.print(f"problem: {problem}", style="red", markup=False, highlight=False)


def _facts(description: "Description") -> Iterable[tuple[str, str]]:
    from tfs.cli.signature_view import readable_size

    yield "path", str(description.path)
    yield "tags", ", ".join(description.tags)
    yield "written by", f"TensorFlow {description.tensorflow_version or 'of unknown version'}"
    yield "graph", f"{description.nodes} nodes, {readable_size(description.graph_size)}"
    yield "functions", f"{description.functions} with {description.function_nodes} nodes"
    yield "variables", readable_size(description.variables_size)
    for name, size in description.assets.items():
        yield "asset", f"{name}, {readable_size(size)}"
    for library, ops in description.custom_ops.items():
        yield f"ops of {library}", ", ".join(ops)
    if description.warmup is not None:
        counts = ", ".join(f"{name} {count}" for name, count in description.warmup.by_signature.items())
        total = readable_size(description.warmup.size)
        yield "warm-up", f"records: {description.warmup.records} ({counts}), {total}"
    else:
        yield "warm-up", "none"


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=bool(titles))
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
