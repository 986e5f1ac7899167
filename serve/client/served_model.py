"""What a running server says about a model: its signatures and the states of its versions."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.reading import Signature
from tfs.serve.client.address import Address, parse_address
from tfs.serve.client.calls import TIMEOUT_SECONDS, call_rest, model_path, refusals_of, served_signatures

__all__ = ["ServedModel", "ServedVersion", "served_model"]

_FORM = "http://host:8501/v1/models/NAME or grpc://host:8500/NAME, each also with /versions/N"


@dataclass(frozen=True)
class ServedVersion:
    """A version as the server knows it.

    Attributes:
        version: its number.
        state: `AVAILABLE`, `LOADING`, ...
        error: why it could not be loaded; empty if nothing went wrong.
    """

    version: int
    state: str
    error: str


@dataclass(frozen=True)
class ServedModel:
    """A model of a running server.

    Attributes:
        url: the server and the model, as it was given.
        model: its name.
        version: the version that was asked for; null if the server chose.
        versions: all versions that the server knows, newest first.
        signatures: by name.
    """

    url: str
    model: str
    version: int | None
    versions: tuple[ServedVersion, ...]
    signatures: dict[str, Signature]


def served_model(url: str) -> ServedModel:
    """Ask a running server for a model's versions and signatures.

    Args:
        url: `http://host:port/v1/models/NAME` (REST) or `grpc://host:port/NAME`, with `/versions/N` for a version.

    Raises:
        UsageError: the URL has another form.
        TfsError: the server cannot be reached, or has no such model.
    """
    parts = urlsplit(url)
    name, version = _model_of(url)
    address = parse_address(f"{parts.scheme}://{parts.netloc}")
    states = (_states_over_rest if address.rest else _states_over_grpc)(address, name)
    return ServedModel(url, name, version, tuple(states), served_signatures(address, name, version))


def _model_of(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url)
    path = parts.path.strip("/").split("/")
    if parts.scheme in ("http", "https") and path[:2] == ["v1", "models"]:
        path = path[2:]
    elif parts.scheme != "grpc":
        raise UsageError(f"`{url}` names no model of a server", _FORM)
    match path:
        case [name] if name and parts.netloc:
            return unquote(name), None
        case [name, "versions", number] if name and parts.netloc and number.isdecimal():
            return unquote(name), int(number)
    raise UsageError(f"`{url}` names no model of a server", _FORM)


def _states_over_rest(address: Address, model: str) -> list[ServedVersion]:
    import httpx

    url = f"{address.target}{model_path(model)}"
    with httpx.Client(timeout=TIMEOUT_SECONDS, **address.http_arguments()) as client:
        status = call_rest(client, "GET", url)
    try:
        return [
            ServedVersion(int(entry["version"]), entry["state"], entry["status"].get("error_message", ""))
            for entry in status["model_version_status"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise TfsError(f"the status of `{url}` cannot be read: {error}") from error


def _states_over_grpc(address: Address, model: str) -> list[ServedVersion]:
    import grpc

    from tfs.savedmodel.protos import get_model_status_pb2, model_service_pb2_grpc

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    with refusals_of(address), address.channel(grpc) as channel:
        status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=TIMEOUT_SECONDS)
    state = get_model_status_pb2.ModelVersionStatus.State
    return [
        ServedVersion(entry.version, state.Name(entry.state), entry.status.error_message)
        for entry in status.model_version_status
    ]
