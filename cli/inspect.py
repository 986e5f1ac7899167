"""`tfs inspect`: what is in a SavedModel, without TensorFlow."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfs.cli.console import err, out, print_json
from tfs.savedmodel.errors import TfsError, UsageError

if TYPE_CHECKING:
    from tfs.savedmodel.description import Description
    from tfs.savedmodel.request_samples import RequestSample

__all__ = ["register"]

_HELP = """Show what is in a SavedModel: signatures, variables, ops, assets, warm-up records, and what would not work.

TensorFlow is not loaded: an answer takes a fraction of a second.

Example: tfs inspect models/digits/1 --ops
"""


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("inspect", help=_HELP, short_help="Show what is in a SavedModel, and what would not work.")(_inspect)


def _print_schema(wanted: bool) -> None:
    if wanted:
        from tfs.cli.inspect_json import json_schema

        print_json(json_schema())
        raise typer.Exit


def _inspect(
    saved_models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SAVED_MODEL...",
            help="Version directories, as models/digits/1, or frozen graphs; local or URLs as s3://bucket/digits/1.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Ask a running server: http://host:8501/v1/models/NAME or grpc://host:8500/NAME.",
            show_default=False,
        ),
    ] = None,
    tags: Annotated[str, typer.Option("--tags", metavar="T,T", help="The graph with these tags.")] = "serve",
    signature: Annotated[
        str | None, typer.Option("--signature", metavar="S", help="Show this signature only.", show_default=False)
    ] = None,
    functions: Annotated[bool, typer.Option("--functions", help="Show the traced functions.")] = False,
    variables: Annotated[bool, typer.Option("--variables", help="Show each variable.")] = False,
    ops: Annotated[bool, typer.Option("--ops", help="Show how often each op occurs.")] = False,
    warmup: Annotated[bool, typer.Option("--warmup", help="Show each warm-up record.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show all of these.")] = False,
    scan: Annotated[
        bool, typer.Option("--scan", help="Show ops that access files or call Python; exit code 1 if there are any.")
    ] = False,
    diff: Annotated[
        str | None,
        typer.Option(
            "--diff",
            metavar="OTHER",
            help="Show what changes from OTHER to SAVED_MODEL; exit code 1 if clients of OTHER would break.",
            show_default=False,
        ),
    ] = None,
    request: Annotated[
        bool, typer.Option("--request", help="Show a request for each signature: a line of curl, and Python for gRPC.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="F.html",
            help="Write one page: signatures, sizes, ops, and the graph to walk through.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; with everything in it.")] = False,
    schema: Annotated[
        bool,
        typer.Option("--schema", callback=_print_schema, is_eager=True, help="Print --json's JSON Schema and exit."),
    ] = False,
) -> None:
    paths = saved_models or []
    _check_usage(paths, url, several_fine=diff is None and not request and html is None)
    if url is not None and html is not None:
        raise UsageError("--html takes a SAVED_MODEL: a server does not tell its graph")
    if url is not None:
        _show_server(url, signature, request=request, json=json)
        return
    found, failed = _describe_all(paths, tags, signature, with_records=warmup or everything or json)
    if html is not None:
        _write_page(html, paths[0], found[0])
    if diff is not None:
        failed |= _show_difference(found[0], diff, tags, json=json)
    elif request:
        _show_requests(paths[0], found[0], json=json)
    elif json:
        from tfs.cli.inspect_json import description_json

        print_json([*map(description_json, found)] if len(paths) > 1 else description_json(found[0]))
    elif scan:
        from tfs.cli.inspect_tables import print_scan

        for description in found:
            print_scan(out(), description)
    else:
        from tfs.cli.inspect_tables import print_description

        for description in found:
            print_description(
                out(),
                description,
                functions=functions or everything,
                variables=variables or everything,
                ops=ops or everything,
                records=warmup or everything,
            )
    if failed or (scan and any(description.denied_ops for description in found)):
        raise typer.Exit(1)


def _check_usage(paths: Sequence[str], url: str | None, *, several_fine: bool) -> None:
    if (url is None) == (not paths):
        raise UsageError("give either a SAVED_MODEL or --url", "tfs inspect models/digits/1")
    if len(paths) > 1 and not several_fine:
        raise UsageError("--diff, --request and --html take one SAVED_MODEL")


def _describe_all(
    paths: Sequence[str], tags: str, signature: str | None, *, with_records: bool
) -> "tuple[list[Description], bool]":
    """Describe each path; of several, those that fail are told on stderr, and the others are shown."""
    found, failed = [], False
    for path in paths:
        try:
            found.append(_describe(path, tags, signature, with_records=with_records))
        except TfsError as error:
            if len(paths) == 1:
                raise
            err().print(f"error: {error}", markup=False)
            failed = True
    return found, failed


def _describe(path: str, tags: str, signature: str | None, *, with_records: bool = False) -> "Description":
    from dataclasses import replace

    from tfs.savedmodel.description import describe
    from tfs.savedmodel.reading import signature_named
    from tfs.savedmodel.remote_view import local_view
    from tfs.savedmodel.warmup_summary import summarize_records

    with local_view(path) as local:
        description = describe(local, tags=tags.split(","), shown_as=path)
        if with_records and description.warmup is not None:
            content = tuple(summarize_records(local))
            description = replace(description, warmup=replace(description.warmup, content=content))
    if signature is not None:
        chosen = signature_named(description.signatures, signature, Path(path))
        description = replace(description, signatures={signature: chosen})
    return description


def _show_difference(new: "Description", other: str, tags: str, *, json: bool) -> bool:
    from dataclasses import asdict

    from tfs.cli.inspect_tables import print_comparison
    from tfs.savedmodel.comparison import compare

    comparison = compare(new, _describe(other, tags, None))
    if json:
        print_json(asdict(comparison))
    else:
        print_comparison(out(), comparison)
    return comparison.incompatible


def _write_page(file: Path, path: str, description: "Description") -> None:
    from tfs.cli.inspect_page import write_page
    from tfs.cli.inspect_tables import facts_of
    from tfs.savedmodel.description import graph_of, tflite_file_of
    from tfs.savedmodel.graph_outline import constant_sizes, outline_of
    from tfs.savedmodel.remote_view import local_view
    from tfs.savedmodel.tflite_file import read_tflite

    with local_view(path) as local:
        if (tflite := tflite_file_of(local)) is not None:
            model = read_tflite(tflite)
            outline, constants = model.outline, model.constants
        else:
            graph_def = graph_of(local, description.tags)[0].graph_def
            outline, constants = outline_of(graph_def), constant_sizes(graph_def)
    try:
        samples = {sample.signature: sample.curl for sample in _samples(path, description) if sample.curl}
    except TfsError:  # a sparse input, or a frozen graph: there is no such request
        samples = {}
    write_page(
        file,
        description,
        facts=facts_of(description),
        outline=outline,
        constants=constants,
        samples=samples,
    )


def _show_requests(path: str, description: "Description", *, json: bool) -> None:
    from tfs.cli.inspect_tables import print_requests

    print_requests(out(), _samples(path, description), as_json=json)


def _samples(path: str, description: "Description") -> "list[RequestSample]":
    from tfs.savedmodel.description import graph_of
    from tfs.savedmodel.input_hints import InputHints, hints_of
    from tfs.savedmodel.remote_view import local_view
    from tfs.savedmodel.request_samples import request_samples
    from tfs.savedmodel.synthetic import generate

    if description.kind == "frozen_graph":
        raise TfsError(f"`{path}` is a frozen graph, which no server takes", "tfs inspect it without --request")
    hints = InputHints()
    if description.kind == "saved_model":
        with local_view(path) as local:
            hints = hints_of(graph_of(local, description.tags)[0], local)
    location = Path(path).absolute()
    model = location.parent.name if location.name.isdecimal() else location.name
    return request_samples(
        description.signatures.values(), lambda signature: generate(signature, 1, 0, hints), model=model
    )


def _show_server(url: str, signature: str | None, *, request: bool, json: bool) -> None:
    from dataclasses import replace
    from urllib.parse import urlsplit

    from tfs.cli.inspect_json import served_json
    from tfs.cli.inspect_tables import print_requests, print_served
    from tfs.savedmodel.reading import signature_named
    from tfs.savedmodel.request_samples import request_samples
    from tfs.savedmodel.synthetic import generate
    from tfs.serve.client.served_model import served_model

    model = served_model(url)
    if signature is not None:
        model = replace(model, signatures={signature: signature_named(model.signatures, signature, Path(url))})
    if request:
        parts = urlsplit(url)
        given = {"grpc": parts.netloc} if parts.scheme == "grpc" else {"rest": f"{parts.scheme}://{parts.netloc}"}
        samples = request_samples(
            model.signatures.values(), lambda signature: generate(signature, 1, 0), model=model.model, **given
        )
        print_requests(out(), samples, as_json=json)
    elif json:
        print_json(served_json(model))
    else:
        print_served(out(), model)
