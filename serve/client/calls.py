"""Single calls to a server: REST and gRPC, their refusals as errors of one line, and a model's signatures."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import quote

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.native_log import hold_back_native_log
from tfs.savedmodel.reading import Signature, signatures_of
from tfs.serve.client.address import Address

__all__ = ["TIMEOUT_SECONDS", "call_rest", "grpc_definitions", "model_path", "refusals_of", "served_signatures"]

TIMEOUT_SECONDS = 60.0


def served_signatures(address: Address, model: str, version: int | None) -> dict[str, Signature]:
    """Ask a server for the signatures of a model.

    Raises:
        TfsError: it cannot be reached, or does not have the model.
    """
    if address.rest:
        import httpx

        url = f"{address.target}{model_path(model, version)}/metadata"
        with httpx.Client(timeout=TIMEOUT_SECONDS, **address.http_arguments()) as client:
            return signatures_of(_rest_definitions(call_rest(client, "GET", url)))
    import grpc

    from tfs.savedmodel.protos import prediction_service_pb2_grpc

    with refusals_of(address), address.channel(grpc) as channel:
        return signatures_of(
            grpc_definitions(prediction_service_pb2_grpc.PredictionServiceStub(channel), model, version)
        )


def model_path(model: str, version: int | None = None) -> str:
    """Return the path of a model, or of a version, in the REST API."""
    return f"/v1/models/{quote(model, safe='')}" + ("" if version is None else f"/versions/{version}")


def call_rest(client: Any, verb: str, url: str, body: bytes | None = None) -> Any:
    """Send one request and return the JSON of the answer.

    Raises:
        TfsError: the server cannot be reached, or refuses.
    """
    import httpx

    try:
        response = client.request(verb, url, content=body)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TfsError(f"`{url}` cannot be reached: {error or type(error).__name__}", "is the server up?") from error
    try:
        reply = json.loads(response.content)
    except ValueError as error:
        raise TfsError(f"`{url}` answered {response.status_code} with something else than JSON") from error
    if response.status_code != httpx.codes.OK:
        message = reply.get("error", reply) if isinstance(reply, dict) else reply
        raise TfsError(f"`{url}` answered {response.status_code}: {message}")
    return reply


@contextmanager
def refusals_of(address: Address) -> Iterator[None]:
    """Turn what gRPC raises in the block into a TfsError that names the server and the status."""
    import grpc

    # gRPC logs a handshake that fails in several lines, at levels that no setting leaves out; the error says it in one.
    failure = None
    with hold_back_native_log() if address.secure else nullcontext():
        try:
            yield
        except grpc.RpcError as error:
            failure = error
    if failure is not None:
        raise TfsError(f"`{address.url}` answered {failure.code().name}: {failure.details()}") from failure


def grpc_definitions(stub: Any, model: str, version: int | None) -> Any:
    """Return the SignatureDefMap that a server has for a model; `grpc.RpcError` if it refuses."""
    from tfs.savedmodel.protos import get_model_metadata_pb2

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = model
    if version is not None:
        request.model_spec.version.value = version
    reply = stub.GetModelMetadata(request, timeout=TIMEOUT_SECONDS)
    definitions = get_model_metadata_pb2.SignatureDefMap()
    reply.metadata["signature_def"].Unpack(definitions)
    return definitions


def _rest_definitions(reply: Any) -> Any:
    from google.protobuf import json_format

    from tfs.savedmodel.protos import get_model_metadata_pb2

    try:
        definitions = reply["metadata"]["signature_def"]
        return json_format.ParseDict(definitions, get_model_metadata_pb2.SignatureDefMap(), ignore_unknown_fields=True)
    except (KeyError, TypeError, json_format.ParseError) as error:
        raise TfsError(f"the server's metadata cannot be read: {error}") from error
