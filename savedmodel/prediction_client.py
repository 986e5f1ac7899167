"""Ask a running server for one prediction, over REST or gRPC."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.json_tensors import json_from_array
from tfs.savedmodel.predict_inputs import inputs_from_arrays, inputs_from_body
from tfs.savedmodel.reading import Signature, signatures_of
from tfs.savedmodel.tensors import array_from_proto, proto_from_array

__all__ = ["Prediction", "Question", "ask", "call_rest", "grpc_address", "grpc_definitions", "rest_definitions"]

_TIMEOUT_SECONDS = 60.0
_GRPC_PORT = 8500


@dataclass(frozen=True)
class Question:
    """What is asked of a server.

    Attributes:
        model: the model's name.
        version: its version; None for the one that the server chooses.
        signature_name: the signature.
        body: a REST predict body; None when there are arrays.
        arrays: an array for each input; None when there is a body.
    """

    model: str
    version: int | None
    signature_name: str
    body: dict[str, Any] | None = None
    arrays: dict[str, np.ndarray] | None = None


@dataclass(frozen=True)
class Prediction:
    """What a server answered.

    Attributes:
        version: the version that answered; None over REST, which does not say.
        outputs: JSON values by output.
    """

    version: int | None
    outputs: dict[str, Any]


def ask(target: str, question: Question) -> Prediction:
    """Send one predict request and return the answer.

    The model's metadata is asked for first: it has the dtypes that gRPC needs and the outputs' names that REST omits.

    Args:
        target: `http://host:port` or `https://...` for REST, `grpc://host:port` for gRPC.
        question: what to ask.

    Raises:
        UsageError: the target has another form.
        TfsError: the server cannot be reached or refuses (with its status and message), or the data does not fit.
    """
    parts = urlsplit(target)
    if parts.scheme in ("http", "https") and parts.netloc:
        return _ask_rest(target.rstrip("/"), question)
    if parts.scheme == "grpc" and parts.hostname:
        return _ask_grpc(grpc_address(parts.netloc), question)
    raise UsageError(f"`{target}` is neither http://host:port (REST) nor grpc://host:port (gRPC)")


def grpc_address(netloc: str) -> str:
    """Return `host:port`, with gRPC's usual port if none is given."""
    return netloc if urlsplit(f"//{netloc}").port else f"{netloc}:{_GRPC_PORT}"


def _signature(definitions: Any, question: Question) -> Signature:
    signatures = signatures_of(definitions)
    if question.signature_name not in signatures:
        known = ", ".join(signatures) or "none"
        raise TfsError(f"model `{question.model}` has no signature `{question.signature_name}`", f"it has: {known}")
    return signatures[question.signature_name]


# REST


def _ask_rest(base: str, question: Question) -> Prediction:
    import httpx

    version = "" if question.version is None else f"/versions/{question.version}"
    url = f"{base}/v1/models/{quote(question.model, safe='')}{version}"
    with httpx.Client(timeout=_TIMEOUT_SECONDS) as client:
        signature = _signature(rest_definitions(call_rest(client, "GET", f"{url}/metadata")), question)
        body = json.dumps(_rest_body(question, signature)).encode()
        reply = call_rest(client, "POST", f"{url}:predict", body)
    return Prediction(question.version, _rest_outputs(reply, signature))


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


def rest_definitions(reply: Any) -> Any:
    """Return the SignatureDefMap in the answer to a REST metadata request.

    Raises:
        TfsError: there is none.
    """
    from google.protobuf import json_format

    from tfs.savedmodel.protos import get_model_metadata_pb2

    try:
        definitions = reply["metadata"]["signature_def"]
        return json_format.ParseDict(definitions, get_model_metadata_pb2.SignatureDefMap(), ignore_unknown_fields=True)
    except (KeyError, TypeError, json_format.ParseError) as error:
        raise TfsError(f"the server's metadata cannot be read: {error}") from error


def _rest_body(question: Question, signature: Signature) -> dict[str, Any]:
    if question.body is not None:
        return {**question.body, "signature_name": question.signature_name}
    arrays = inputs_from_arrays(question.arrays or {}, signature)
    inputs = {alias: json_from_array(array) for alias, array in arrays.items()}
    return {"signature_name": question.signature_name, "inputs": inputs}


def _rest_outputs(reply: Any, signature: Signature) -> dict[str, Any]:
    """Name the outputs, and turn rows into columns: one output stands bare in either format."""
    single = next(iter(signature.outputs)) if len(signature.outputs) == 1 else None
    try:
        if "outputs" in reply:
            return {single: reply["outputs"]} if single else dict(reply["outputs"])
        rows = reply["predictions"]
        return {single: rows} if single else {alias: [row[alias] for row in rows] for alias in signature.outputs}
    except (KeyError, TypeError, ValueError) as error:
        raise TfsError("the server's answer has neither `predictions` nor `outputs` of this signature") from error


# gRPC


def _ask_grpc(address: str, question: Question) -> Prediction:
    import grpc

    from tfs.savedmodel.protos import predict_pb2, prediction_service_pb2_grpc

    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(address, options=unlimited) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            signature = _signature(grpc_definitions(stub, question), question)
            request = predict_pb2.PredictRequest()
            _set_model(request.model_spec, question)
            request.model_spec.signature_name = question.signature_name
            for alias, array in _grpc_inputs(question, signature).items():
                request.inputs[alias].CopyFrom(proto_from_array(array))
            reply = stub.Predict(request, timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            raise TfsError(f"`grpc://{address}` answered {error.code().name}: {error.details()}") from error
    outputs = {alias: json_from_array(array_from_proto(proto)) for alias, proto in sorted(reply.outputs.items())}
    return Prediction(reply.model_spec.version.value, outputs)


def grpc_definitions(stub: Any, question: Question) -> Any:
    """Return the SignatureDefMap that a server has for the model in question; `grpc.RpcError` if it refuses."""
    from tfs.savedmodel.protos import get_model_metadata_pb2

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    _set_model(request.model_spec, question)
    reply = stub.GetModelMetadata(request, timeout=_TIMEOUT_SECONDS)
    definitions = get_model_metadata_pb2.SignatureDefMap()
    reply.metadata["signature_def"].Unpack(definitions)
    return definitions


def _grpc_inputs(question: Question, signature: Signature) -> dict[str, np.ndarray]:
    if question.body is not None:
        return inputs_from_body(question.body, signature)
    return inputs_from_arrays(question.arrays or {}, signature)


def _set_model(spec: Any, question: Question) -> None:
    spec.name = question.model
    if question.version is not None:
        spec.version.value = question.version
