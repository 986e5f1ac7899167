"""The arguments that `tfs predict` and `tfs bench` share: whom to ask, for what, with which data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfs.savedmodel.errors import UsageError

if TYPE_CHECKING:
    from tfs.serve.client.address import Address

__all__ = ["CaCert", "Cert", "Key", "Model", "SignatureName", "Target", "Version", "address_of", "check_names"]

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A server: http://host:8501 (REST), grpc://host:8500, unix:/path (gRPC), with TLS https:// and grpcs://. "
        "Or a version directory, as models/digits/1, without a server.",
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option("--model", metavar="M", help="The model's name; a directory has none.", show_default=False),
]
Version = Annotated[
    int | None,
    typer.Option("--version", metavar="N", min=0, help="Its version, else the server chooses.", show_default=False),
]
SignatureName = Annotated[
    str | None,
    typer.Option(
        "--signature", metavar="S", help="The signature, else the body's or serving_default.", show_default=False
    ),
]
CaCert = Annotated[
    Path | None,
    typer.Option(
        "--cacert",
        metavar="F.pem",
        help="TLS: authority of the server's certificate, else the system's.",
        show_default=False,
    ),
]
Cert = Annotated[
    Path | None,
    typer.Option("--cert", metavar="F.pem", help="TLS: certificate for a server that wants one.", show_default=False),
]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="F.pem", help="TLS: the key that belongs to --cert.", show_default=False)
]


def address_of(target: str, cacert: Path | None, cert: Path | None, key: Path | None) -> "Address | None":
    """Return the server that a target means; None for a directory.

    Raises:
        UsageError: it is neither.
    """
    from tfs.serve.client.address import FORMS, TlsFiles, parse_address

    files = TlsFiles(cacert, cert, key)
    if "://" in target or target.startswith("unix:"):
        return parse_address(target, files)
    if not Path(target).is_dir():
        raise UsageError(f"`{target}` is neither an address of a server nor a version directory", FORMS)
    if files:
        raise UsageError("--cacert, --cert and --key are for a server")
    return None


def check_names(address: "Address | None", model: str | None, version: int | None) -> None:
    """Refuse a server without a model's name, and names beside a directory.

    Raises:
        UsageError: so it is.
    """
    if address is not None and model is None:
        raise UsageError("--model is missing: which of the server's models is meant?")
    if address is None and (model is not None or version is not None):
        raise UsageError("--model and --version are for a server; a directory is one version of one model")
