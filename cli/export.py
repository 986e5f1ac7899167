"""`tfs export`: a Keras model becomes a version that a server can load."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfs.cli.console import out, print_json
from tfs.savedmodel.errors import UsageError

if TYPE_CHECKING:
    from tfs.exporters.exporting import ExportedVersion

__all__ = ["register"]

_HELP = """Export a trained Keras model as BASE/VERSION, a SavedModel that tfs serve loads.

The version appears complete and checked, or not at all: before it does, it is loaded and run as a server would.

Example: tfs export digits.keras --output models/digits
"""


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("export", help=_HELP, short_help="Write a Keras model as a version that servers load.")(_export)


def _export(
    source: Annotated[
        str,
        typer.Argument(
            help="A .keras or .h5 file; or pkg.mod:object or file.py:object, a Keras model or its factory.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="BASE", help="The base path of the model.")],
    version: Annotated[
        str, typer.Option("--version", metavar="N|auto", help="The version; auto is one more than the highest.")
    ] = "auto",
    signature: Annotated[
        list[str] | None,
        typer.Option(
            "--signature",
            metavar="NAME=pkg.mod:fn",
            help="fn(model) returns a tf.function with an input_signature; may be repeated. Without a serving_default "
            "among them, the model's own inputs and outputs are that signature.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    from tfs.exporters.exporting import export
    from tfs.exporters.options import ExportOptions
    from tfs.exporters.signatures import parse_signature_option

    number = _version_number(version)
    options = ExportOptions(source=source, signatures=parse_signature_option(signature or []))
    exported = export(options, output, number)
    if json:
        print_json(_as_json(exported))
    else:
        _print_table(exported)


def _version_number(version: str) -> int | None:
    if version == "auto":
        return None
    if not (version.isascii() and version.isdecimal()):
        raise UsageError(f"--version `{version}` is no number and not `auto`")
    return int(version)


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
