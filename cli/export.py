"""`tfs export`: a trained model becomes a version that a server can load."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfs.cli.console import out, print_json

if TYPE_CHECKING:
    from tfs.exporters.exporting import ExportedVersion

__all__ = ["register"]

_HELP = """Export a trained model as BASE/VERSION, a SavedModel that tfs serve loads.

The version appears complete and checked, or not at all: before it does, it is loaded and run as a server would.

Example: tfs export digits.keras --output models/digits
"""


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("export", help=_HELP, short_help="Write a trained model as a version that servers load.")(_export)


def _export(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A .keras or .h5 file, a SavedModel, a frozen graph (.pb) or meta graph (.meta); or pkg.mod:object or "
            "file.py:object, a model or a function that returns one.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="BASE", help="The base path of the model, or its URL.")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", help="Take what is not given here from a recipe: its output, version and export."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(
            "--version",
            metavar="N|auto|timestamp",
            help="The version; auto (default) is one more than the highest, timestamp the seconds since 1970.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the version if it exists.")] = False,
    signature: Annotated[
        list[str] | None,
        typer.Option(
            "--signature",
            metavar="NAME=pkg.mod:fn",
            help="fn(model) returns a tf.function with an input_signature; may be repeated. Without a serving_default "
            "among them, the model's own inputs and outputs are that signature. NAME='images:0 -> scores:0' names the "
            "tensors of a graph, or the model's own inputs and outputs that it has.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME=METHOD",
            help="Which requests a signature answers: predict, classify or regress; may be repeated.",
        ),
    ] = None,
    keep_signatures: Annotated[
        str | None,
        typer.Option("--keep-signatures", metavar="A,B", help="Of the signatures that SOURCE has, only these."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="Weights for the model of SOURCE: of save_weights, or a checkpoint.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME=DTYPE[SHAPE]",
            help="What a subclassed model is called with, as 'x=float32[?,4]'; may be repeated.",
        ),
    ] = None,
    sample: Annotated[
        Path | None, typer.Option("--sample", help="Inputs by name (.npz or .json), in place of --input.")
    ] = None,
    tags: Annotated[
        str | None, typer.Option("--tags", metavar="A,B", help="The tags that loaders ask for (default: serve).")
    ] = None,
    as_text: Annotated[bool, typer.Option("--as-text", help="Write saved_model.pbtxt.")] = False,
    receiver: Annotated[
        Path | None,
        typer.Option("--receiver", metavar="FILE", help="How requests reach the features of an Estimator, as YAML."),
    ] = None,
    model_fn: Annotated[
        str | None, typer.Option("--model-fn", metavar="pkg.mod:fn", help="In place of SOURCE, that of an Estimator.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="DIR", help="Of a model_fn or an Estimator; the latest of a folder."),
    ] = None,
    params: Annotated[
        str | None,
        typer.Option("--params", metavar="YAML", help="Of a model_fn: a mapping, or pkg.mod:object that gives one."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    from tfs.cli.export_options import named_signatures, named_values, recipe_of_flags
    from tfs.cli.recipe import read_content
    from tfs.exporters.exporting import export

    asked = recipe_of_flags(
        recipe,
        {"output": output, "version": version, "overwrite": overwrite},
        {
            "source": source,
            "weights": weights,
            "inputs": named_values("--input", "NAME=DTYPE[SHAPE]", inputs),
            "sample": sample,
            "signatures": named_signatures(signature),
            "keep_signatures": keep_signatures and keep_signatures.split(","),
            "tags": tags and tags.split(","),
            "as_text": as_text,
            "receiver": receiver and read_content(receiver, "receiver", "docs/export.md"),
            "model_fn": model_fn,
            "checkpoint": checkpoint,
            "params": params,
        },
        methods=named_values("--method", "NAME=METHOD", method),
    )
    exported = export(asked.export, asked.output, asked.version, overwrite=asked.overwrite)
    if json:
        print_json(_as_json(exported))
    else:
        _print_table(exported)


def _as_json(exported: "ExportedVersion") -> dict[str, Any]:
    from tfs.cli.signature_view import signature_json

    return {
        "path": str(exported.path),
        "version": exported.version,
        "size": exported.size,
        "signatures": {name: signature_json(signature) for name, signature in exported.signatures.items()},
    }


def _print_table(exported: "ExportedVersion") -> None:
    from tfs.cli.signature_view import readable_size, signature_table

    out().print(f"{exported.path}  ({readable_size(exported.size)})", highlight=False, markup=False)
    out().print(signature_table(exported.signatures))
