"""`tfs run`: all stages of a recipe, from a trained model to a published version."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfs.cli.console import err, out, print_json, progress

if TYPE_CHECKING:
    from tfs.cli.recipe import RecipeResult

__all__ = ["register"]

_HELP = """Run the stages of a recipe (export, optimize, warm-up, inspect) and publish the result as one version.

The version appears in the base path when all stages are done: a server that polls it never sees an intermediate state.

Example: tfs run recipes/digits.yaml --set version=2
"""


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("run", help=_HELP, short_help="Run all stages of a recipe and publish the result.")(_run)


def _print_schema(wanted: bool) -> None:
    if wanted:
        from tfs.cli.recipe import Recipe

        print_json(Recipe.model_json_schema())
        raise typer.Exit


def _run(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file.", show_default=False)],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Use this in place of what the recipe says; may be repeated."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema", callback=_print_schema, is_eager=True, help="Print the JSON Schema of recipes and exit."
        ),
    ] = False,
) -> None:
    from tfs.cli.recipe import read_recipe, run_recipe

    checked = read_recipe(recipe, changes or [])
    with progress(str(recipe)) as advance:
        result = run_recipe(checked, advance)
    for note in result.warmup_notes:
        err().print(f"warning: {note}", markup=False)
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        _print_table(result)


def _print_table(result: "RecipeResult") -> None:
    from rich.table import Table

    from tfs.cli.signature_view import readable_size

    table = Table("stage", "result")
    table.add_row("export", f"version {result.version}")
    if result.optimized is not None:
        nodes, size = result.optimized["nodes"], result.optimized["bytes"]
        sizes = f"{readable_size(size['before'])} -> {readable_size(size['after'])}"
        table.add_row("optimize", f"{nodes['before']} -> {nodes['after']} nodes, {sizes}")
        if (checked := result.optimized["verification"]) is not None:
            slower = f"; SLOWER than the original ({checked['speed_ratio']}x)" if checked["slower"] else ""
            difference = f"largest difference {checked['largest_difference']:.1e}"
            table.add_row("verify", f"{difference}, {checked['source']}{slower}")
    if result.warmup_records is not None:
        table.add_row("warm-up", f"{result.warmup_records} records")
    found = result.inspection
    names = ", ".join(found.signatures)
    table.add_row("inspect", f"{found.nodes} nodes, {readable_size(found.bytes)}, signatures: {names}")
    table.add_row("published", str(result.path))
    out().print(table)
