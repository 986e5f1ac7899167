"""`tfs inspect` for people: tables of a description, a served model, a comparison, and requests to copy."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from tfs.cli.console import print_json
from tfs.cli.signature_view import readable_size, shape_text, signature_table

if TYPE_CHECKING:
    from rich.console import Console

    from tfs.savedmodel.comparison import Comparison
    from tfs.savedmodel.description import Description
    from tfs.savedmodel.request_samples import RequestSample
    from tfs.savedmodel.warmup_summary import RecordSummary
    from tfs.serve.client.served_model import ServedModel

__all__ = ["facts_of", "print_comparison", "print_description", "print_requests", "print_scan", "print_served"]


def print_description(
    console: "Console", description: "Description", *, functions: bool, variables: bool, ops: bool, records: bool
) -> None:
    """Print facts, signatures and problems of a version, and what else was asked for."""
    console.print(_table((), facts_of(description)))
    console.print(signature_table(description.signatures))
    if functions:
        rows = (
            (function.path, ", ".join(function.arguments), ", ".join(function.results))
            for function in description.concrete_functions
        )
        console.print(_table(("function", "arguments", "results"), rows))
    if variables:
        sizes = (
            (variable.name, variable.dtype, shape_text(variable.shape), readable_size(variable.size))
            for variable in description.variables
        )
        console.print(_table(("variable", "dtype", "shape", "size"), sizes))
    if ops:
        console.print(_table(("op", "count"), ((op, str(count)) for op, count in description.ops.items())))
    if records and description.warmup is not None:
        titles = ("record", "kind", "signature", "input", "dtype", "shape", "values")
        console.print(_table(titles, _record_rows(description.warmup.content or ())))
    _print_problems(console, description)


def print_scan(console: "Console", description: "Description") -> None:
    """Print the denied ops of a version with the nodes that hold them, or that there are none."""
    if not description.denied_ops:
        console.print(f"{description.path}: no denied ops", markup=False, highlight=False)
        return
    rows = ((found.op, found.node, found.function, found.reason) for found in description.denied_ops)
    console.print(f"{description.path}: {len(description.denied_ops)} denied ops", markup=False, highlight=False)
    console.print(_table(("op", "node", "in function", "reason"), rows))


def print_served(console: "Console", model: "ServedModel") -> None:
    """Print the versions and signatures of a served model."""
    rows = ((str(version.version), version.state, version.error) for version in model.versions)
    console.print(_table(("version", "state", "error"), rows))
    console.print(signature_table(model.signatures))


def print_comparison(console: "Console", comparison: "Comparison") -> None:
    """Print what changed, and first of all whether clients can go on."""
    verdict = "INCOMPATIBLE" if comparison.incompatible else "compatible"
    console.print(f"{comparison.other} -> {comparison.path}: {verdict}", markup=False, highlight=False)
    rows = [
        ("signature", change.signature, f"{'INCOMPATIBLE: ' if change.incompatible else ''}{change.change}")
        for change in comparison.signatures
    ]
    rows += [("op", op, f"{difference:+d}") for op, difference in comparison.ops.items()]
    rows += [("variable", "", text) for text in comparison.variables]
    rows += [
        ("size", name, f"{readable_size(before)} -> {readable_size(after)}")
        for name, (before, after) in comparison.sizes.items()
        if before != after
    ]
    if rows:
        console.print(_table(("what", "name", "change"), rows))


def print_requests(console: "Console", samples: "Sequence[RequestSample]", *, as_json: bool) -> None:
    """Print requests so that they can be copied: no borders, no folding."""
    from dataclasses import asdict

    if as_json:
        print_json([asdict(sample) for sample in samples])
        return
    for sample in samples:
        curl = sample.curl or "# REST cannot carry one of its dtypes: ask over gRPC"
        text = f"# {sample.signature}: REST\n{curl}\n\n# {sample.signature}: gRPC\n{sample.grpc}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _print_problems(console: "Console", description: "Description") -> None:
    for problem in description.problems:
        console.print(f"problem: {problem}", style="red", markup=False, highlight=False)


def facts_of(description: "Description") -> Iterable[tuple[str, str]]:
    """Yield names and values of what there is to say about a version as a whole."""
    yield "path", description.path
    if description.kind == "frozen_graph":
        yield "kind", "frozen graph: inputs and outputs are guessed"
    elif description.kind == "tflite_model":
        yield "kind", "TFLite model, without a SavedModel: tfs serve --prefer_tflite_model"
    else:
        yield "tags", ", ".join(description.tags)
    if len(description.tag_sets) > 1:
        yield "tag sets", "; ".join(map(",".join, description.tag_sets))
    if description.kind != "tflite_model":
        yield "written by", f"TensorFlow {description.tensorflow_version or 'of unknown version'}"
    yield from _origin(description)
    yield "graph", f"{description.nodes} nodes, {readable_size(description.graph_size)}"
    yield "functions", f"{description.functions} with {description.function_nodes} nodes"
    yield "variables", _variables_text(description)
    for name, size in description.assets.items():
        yield "asset", f"{name}, {readable_size(size)}"
    for table in description.tables:
        yield "table", f"{table.name}: {table.key_dtype} -> {table.value_dtype}, from {table.source}"
    for library, ops in description.custom_ops.items():
        yield f"ops of {library}", ", ".join(ops)
    for hint in description.placement.hints:
        yield "devices", hint
    if description.denied_ops:
        ops = sorted({found.op for found in description.denied_ops})
        yield "denied ops", f"{', '.join(ops)} (--scan shows where)"
    yield "warm-up", _warmup_text(description)


def _origin(description: "Description") -> Iterable[tuple[str, str]]:
    """Yield what `tfs export` and `tfs optimize` have written down; nothing of what they have not."""
    export = description.provenance.export or {}
    options, git = (value if isinstance(value, dict) else {} for value in map(export.get, ("options", "git")))
    source = options.get("source") or options.get("model_fn")
    if source:
        tools = (f"{name} {export[name]}" for name in ("tfs", "keras") if export.get(name))
        yield "exported", ", ".join([f"from {source}", *tools])
        yield "exported at", str(export.get("time", "unknown time"))
    if "commit" in git:
        yield "commit", f"{git['commit']}{', and changes' if git.get('changed') else ''}"
    for change in description.provenance.changes:
        yield "changed", f"{change.get('command', 'unknown command')}: {change.get('transforms', '')}"


def _variables_text(description: "Description") -> str:
    count = f"{len(description.variables)}, " if description.variables else ""
    return count + readable_size(description.variables_size)


def _warmup_text(description: "Description") -> str:
    if description.warmup is None:
        return "none"
    counts = ", ".join(f"{name} {count}" for name, count in description.warmup.by_signature.items())
    return f"records: {description.warmup.records} ({counts}), {readable_size(description.warmup.size)}"


def _value_text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _record_rows(records: "Sequence[RecordSummary]") -> Iterable[tuple[str, ...]]:
    for number, record in enumerate(records):
        kind = record.kind if record.examples is None else f"{record.kind}, {record.examples} examples"
        for alias, given in record.inputs.items():
            values = ", ".join(_value_text(value) for value in given.first_values)
            yield str(number), kind, record.signature_name, alias, given.dtype, shape_text(given.shape), values
        if not record.inputs:
            yield str(number), kind, record.signature_name, "", "", "", ""


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Any:
    table = Table(show_header=bool(titles))
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
