"""What a running server says about a model: its signatures and the states of its versions."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.prediction_client import (
    Question,
    call_rest,
    grpc_address,
    grpc_definitions,
    rest_definitions,
)
from tfs.savedmodel.reading import Signature, signatures_of

__all__ = ["ServedModel", "ServedVersion", "served_model"]

_TIMEOUT_SECONDS = 60.0
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
    question = Question(name, version, "")
    ask = _ask_grpc if parts.scheme == "grpc" else _ask_rest
    definitions, states = ask(parts.scheme, parts.netloc, question)
    return ServedModel(url, name, version, tuple(states), signatures_of(definitions))


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


def _ask_rest(scheme: str, netloc: str, question: Question) -> tuple[Any, list[ServedVersion]]:
    import httpx

    model = f"{scheme}://{netloc}/v1/models/{quote(question.model, safe='')}"
    version = "" if question.version is None else f"/versions/{question.version}"
    with httpx.Client(timeout=_TIMEOUT_SECONDS) as client:
        status = call_rest(client, "GET", model)
        definitions = rest_definitions(call_rest(client, "GET", f"{model}{version}/metadata"))
    try:
        states = [
            ServedVersion(int(entry["version"]), entry["state"], entry["status"].get("error_message", ""))
            for entry in status["model_version_status"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise TfsError(f"the status of `{model}` cannot be read: {error}") from error
    return definitions, states


def _ask_grpc(_scheme: str, netloc: str, question: Question) -> tuple[Any, list[ServedVersion]]:
    import grpc

    from tfs.savedmodel.protos import (
        get_model_status_pb2,
        model_service_pb2_grpc,
        prediction_service_pb2_grpc,
    )

    address = grpc_address(netloc)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = question.model
    with grpc.insecure_channel(address) as channel:
        try:
            status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=_TIMEOUT_SECONDS)
            definitions = grpc_definitions(prediction_service_pb2_grpc.PredictionServiceStub(channel), question)
        except grpc.RpcError as error:
            raise TfsError(f"`grpc://{address}` answered {error.code().name}: {error.details()}") from error
    state = get_model_status_pb2.ModelVersionStatus.State
    versions = [
        ServedVersion(entry.version, state.Name(entry.state), entry.status.error_message)
        for entry in status.model_version_status
    ]
    return definitions, versions
