"""`tfs serve`: the flags of tensorflow_model_server, and the server behind them."""

import inspect
import logging
import sys
from enum import Enum
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from tfs.savedmodel.errors import TfsError
from tfs.serve.options import Flag, LogFormat, ServerOptions

__all__ = ["register"]

_HELP = """Serve the versions of one or more models over gRPC and REST, until SIGTERM.

Takes the flags of tensorflow_model_server, as --rest_api_port=8501 or --rest-api-port 8501; a switch is --flag,
--flag=true or --flag=false. New versions under the base path are picked up while the server runs.

Example: tfs serve --model_name=digits --model_base_path=/models/digits
"""


class _Switch(str, Enum):
    """A bool of tensorflow_model_server, which takes an optional value where Typer's own flags take none."""

    TRUE = "true"
    FALSE = "false"


def _option(name: str, hint: Any, default: Any) -> inspect.Parameter:
    kind, *metadata = get_args(hint)
    flag = next(entry for entry in metadata if isinstance(entry, Flag))
    option = typer.Option(f"--{name}", help=flag.text, rich_help_panel=flag.panel, case_sensitive=False)
    if kind is bool:
        kind, default = _Switch, _Switch.TRUE if default else _Switch.FALSE
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        from tfs.savedmodel.tensorflow_paths import tensorflow_version

        # tensorflow_model_server's two lines.
        typer.echo(f"TensorFlow ModelServer: {version('tfs')} (tfs)\nTensorFlow Library: {tensorflow_version()}")
        raise typer.Exit


_VERSION = inspect.Parameter(
    "version",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print versions and exit.")
    ],
)
_HINTS = {name: hint for name, hint in get_type_hints(ServerOptions, include_extras=True).items() if get_args(hint)}
_SWITCHES = {name for name, hint in _HINTS.items() if get_args(hint)[0] is bool}


class _ServeCommand(TyperCommand):
    """Takes `--some-flag` for `--some_flag`, and a switch without a value.

    Its help is a list, since Typer's table cuts names as long as these in a terminal of 80 columns.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            panel = getattr(parameter, "rich_help_panel", None) or "Options"
            if record := parameter.get_help_record(ctx):
                panels.setdefault(panel, []).append(record)
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [_normalised(arg) for arg in args])


def _normalised(arg: str) -> str:
    name, equals, value = arg.removeprefix("--").partition("=")
    name = name.replace("-", "_")
    if not arg.startswith("--") or name not in _HINTS:
        return arg
    if name in _SWITCHES and not equals:
        return f"--{name}=true"
    return f"--{name}{equals}{value}"


def _serve(*, version: bool, **flags: Any) -> None:
    from tfs.serve.log_lines import configure_logging
    from tfs.serve.process import serve_until_terminated

    configure_logging(flags["log_format"])
    values = {name: value is _Switch.TRUE if isinstance(value, _Switch) else value for name, value in flags.items()}
    try:
        serve_until_terminated(**values)
    except TfsError as error:
        if flags["log_format"] is LogFormat.TEXT:
            raise
        logging.getLogger(__name__).error("%s", error, exc_info="--debug" in sys.argv)
        raise typer.Exit(error.exit_code) from error


def register(app: typer.Typer) -> None:
    """Add `tfs serve` to the command line, with one option per field of ServerOptions."""
    parameters = [_option(name, hint, getattr(ServerOptions, name)) for name, hint in _HINTS.items()]
    parameters.append(_VERSION)
    _serve.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # Typer reads it, mypy does not know
    _serve.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command("serve", cls=_ServeCommand, help=_HELP, short_help="Serve models over gRPC and REST, until SIGTERM.")(
        _serve
    )
