"""`tfs predict`: one request to a running server, or to a version on disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfs.cli.console import out, print_json
from tfs.cli.server_options import (
    CaCert,
    Cert,
    Key,
    Model,
    SignatureName,
    Target,
    Version,
    address_of,
    check_names,
)
from tfs.savedmodel.errors import TfsError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from tfs.savedmodel.image_inputs import PixelRange
    from tfs.serve.client.address import Address
    from tfs.serve.client.prediction import Prediction

__all__ = ["register"]

_HELP = """Send one request to a server, or to a version on disk, and print the outputs.

Example: echo '{"instances": [1.0, 2.0]}' | tfs predict http://localhost:8501 --model half_plus_two
"""

_STDIN = "-"
_LONGEST_CELL = 200  # characters of a value in the table; --json has all of it


class _Method(str, Enum):
    """The choices of `--method`; `tfs.serve.client.request.Method` without what it imports."""

    PREDICT = "predict"
    CLASSIFY = "classify"
    REGRESS = "regress"


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("predict", help=_HELP, short_help="Send one request to a server and print the outputs.")(_predict)


def _predict(
    target: Target,
    model: Model = None,
    version: Version = None,
    signature: SignatureName = None,
    method: Annotated[
        _Method | None,
        typer.Option("--method", help="How it is called, else as the signature says.", show_default=False),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="F",
            help="The body of a REST request (.json; - is stdin, the default), arrays by input (.npz), tf.Examples "
            "(.tfrecord), or an image; several images are several rows.",
            show_default=False,
        ),
    ] = None,
    image_range: Annotated[
        str,
        typer.Option("--image-range", metavar="BLACK,WHITE", help="What pixels become where the input holds floats."),
    ] = "0,1",
    cacert: CaCert = None,
    cert: Cert = None,
    key: Key = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="F.npz", help="Write the outputs as arrays to this file.", show_default=False),
    ] = None,
) -> None:
    from tfs.savedmodel.reading import signature_named
    from tfs.savedmodel.warmup import DEFAULT_SIGNATURE
    from tfs.serve.client.asking import ask
    from tfs.serve.client.calls import served_signatures
    from tfs.serve.client.request import Method, method_of
    from tfs.serve.client.request_data import read_data

    if output is not None and output.suffix != ".npz":
        raise UsageError(f"--output `{output}` is no .npz file")
    address = address_of(target, cacert, cert, key)
    check_names(address, model, version)
    sent = read_data(data or [_STDIN], _pixel_range(image_range))
    name = signature or sent.signature_name(DEFAULT_SIGNATURE)
    with _served(address, target) as (server, local_model):
        served = local_model or model or ""
        found = signature_named(
            served_signatures(server, served, version), name, Path(target if local_model else served)
        )
        wanted = Method(method.value) if method else method_of(found)
        prediction = ask(server, sent.request(served, version, found, wanted))
    if output is not None:
        _write(output, prediction.npz_arrays())
    if json:
        print_json(
            {
                "model": model,
                "version": None if local_model else prediction.version,
                "signature": name,
                "outputs": prediction.json_outputs(),
            }
        )
    elif output is None:
        _print_table(prediction)


def _pixel_range(text: str) -> "PixelRange":
    from tfs.savedmodel.image_inputs import PixelRange

    try:
        black, white = map(float, text.split(","))
    except ValueError as error:
        raise UsageError(f"--image-range `{text}` is no pair of numbers", "--image-range -1,1") from error
    return PixelRange(black, white)


@contextmanager
def _served(address: "Address | None", target: str) -> "Iterator[tuple[Address, str | None]]":
    """Yield a server's address; for a directory the one that serves it as long as the block lasts, and its model."""
    if address is not None:
        yield address, None
        return
    from tfs.serve.client.local_server import LOCAL_MODEL, serve_locally

    with serve_locally(Path(target)) as local:
        yield local, LOCAL_MODEL


def _write(file: Path, arrays: "dict[str, np.ndarray]") -> None:
    import numpy as np

    try:
        with file.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]  # numpy's stubs take the names for an option
    except OSError as error:
        raise TfsError(f"`{file}` cannot be written: {error.strerror}") from error


def _print_table(prediction: "Prediction") -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("row")
    outputs = prediction.json_outputs()
    for alias in outputs:
        table.add_column(escape(alias), overflow="fold")
    for number, row in enumerate(_rows(outputs)):
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
