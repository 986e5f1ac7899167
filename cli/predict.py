"""`tfs predict`: one request to a running server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfs.cli.console import out, print_json
from tfs.savedmodel.errors import TfsError, UsageError

if TYPE_CHECKING:
    from tfs.savedmodel.prediction_client import Prediction, Question

__all__ = ["register"]

_HELP = """Send one predict request to a server and print the outputs.

Example: echo '{"instances": [1.0, 2.0]}' | tfs predict http://localhost:8501 --model half_plus_two
"""

_STDIN = "-"
_LONGEST_CELL = 200  # characters of a value in the table; --json has all of it


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("predict", help=_HELP, short_help="Send one request to a server and print the outputs.")(_predict)


def _predict(
    target: Annotated[
        str,
        typer.Argument(help="http://host:8501 asks over REST, grpc://host:8500 over gRPC.", show_default=False),
    ],
    model: Annotated[str, typer.Option("--model", metavar="M", help="The model's name.", show_default=False)],
    version: Annotated[
        int | None,
        typer.Option("--version", metavar="N", min=0, help="Its version, else the server chooses.", show_default=False),
    ] = None,
    signature: Annotated[
        str | None,
        typer.Option(
            "--signature", metavar="S", help="The signature, else the body's or serving_default.", show_default=False
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="F.json|F.npz|-",
            help="The body of a REST predict request, or arrays by input; - is stdin.",
        ),
    ] = _STDIN,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    from tfs.savedmodel.prediction_client import ask

    question = _question(model, version, signature, data)
    prediction = ask(target, question)
    if json:
        print_json(
            {
                "model": model,
                "version": prediction.version,
                "signature": question.signature_name,
                "outputs": prediction.outputs,
            }
        )
    else:
        _print_table(prediction)


def _question(model: str, version: int | None, signature: str | None, data: str) -> "Question":
    from tfs.savedmodel.predict_inputs import signature_name_of_body
    from tfs.savedmodel.prediction_client import Question
    from tfs.savedmodel.warmup import DEFAULT_SIGNATURE
    from tfs.savedmodel.warmup_sources import load_arrays

    if data.endswith(".npz"):
        return Question(model, version, signature or DEFAULT_SIGNATURE, arrays=load_arrays(Path(data)))
    body = _read_json(data)
    return Question(model, version, signature or signature_name_of_body(body, DEFAULT_SIGNATURE), body=body)


def _read_json(data: str) -> Any:
    import json
    import sys

    if data == _STDIN and sys.stdin.isatty():
        raise UsageError("nothing to send", "give --data FILE, or the request on stdin")
    try:
        text = sys.stdin.read() if data == _STDIN else Path(data).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise TfsError(f"`{data}` cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise TfsError(f"`{data}` is no JSON: {error}", 'it looks like {"instances": [...]}') from error


def _print_table(prediction: "Prediction") -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("row")
    for alias in prediction.outputs:
        table.add_column(escape(alias), overflow="fold")
    for number, row in enumerate(_rows(prediction.outputs)):
        table.add_row(str(number), *(escape(_cell(value)) for value in row))
    out().print(table)


def _rows(outputs: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return one row for each element of the first dimension; a single row when the outputs do not share one."""
    columns = list(outputs.values())
    if all(isinstance(column, list) for column in columns) and len({len(column) for column in columns}) == 1:
        return list(zip(*columns, strict=True))
    return [tuple(columns)]


def _cell(value: Any) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_CELL else text[:_LONGEST_CELL] + "…"
