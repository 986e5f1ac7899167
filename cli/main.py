"""The `tfs` command: subcommands, version, and the one place where errors become one line and an exit code.

Nothing here or in a subcommand's module imports TensorFlow, numpy or pydantic at the top: `tfs --help` answers at once.
"""

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import Annotated, NoReturn

import typer

from tfs.savedmodel.errors import TfsError

__all__ = ["command_line", "main"]

# In the order of the help text. Each module has `register(app)`, which adds its subcommand.
_COMMANDS: tuple[str, ...] = ("export", "optimize", "warmup", "inspect", "serve", "run", "predict", "bench")


def command_line(words: Sequence[str]) -> typer.Typer:
    """Return what can parse these words: with the subcommand that they name, or with all if they name none.

    A subcommand that is not asked for would only take time.
    """
    app = typer.Typer(
        name="tfs",
        help="From a trained TensorFlow model to a production endpoint: export, optimize, warm up, inspect, serve.",
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # Rich would draw boxes around the same text for twice the time
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    first = next((word for word in words if not word.startswith("-")), None)
    for name in (first,) if first in _COMMANDS else _COMMANDS:
        import_module(f"tfs.cli.{name}").register(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from tfs.cli.version import version_lines

        typer.echo("\n".join(version_lines()))
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print versions and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Add the traceback to an error.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def main() -> None:
    """Run the command line; a user's mistake ends in one line on stderr and exit code 1 or 2."""
    # So that what a command has begun to write goes as it does on Ctrl-C; `tfs serve` has a handler of its own.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        # Not standalone, so that what Typer has to complain about arrives here too; Ctrl-C comes back as 130.
        sys.exit(command_line(sys.argv[1:])(prog_name="tfs", standalone_mode=False))
    except TfsError as error:
        if "--debug" in sys.argv:
            raise
        _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        _fail(_usage_message(error), error.exit_code)
    except typer.Abort:
        _fail("aborted", 1)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # a second one must not interrupt the tidying
    sys.exit(128 + number)


def _usage_message(error: typer.TyperException) -> str:
    message = " ".join(error.format_message().split()).removesuffix(".")
    context = getattr(error, "ctx", None)
    return f"{message} (see `{context.command_path} --help`)" if context else message


def _fail(message: str, exit_code: int) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    sys.exit(exit_code)
