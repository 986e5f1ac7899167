"""Stock clients of a running server: gRPC stubs, raw gRPC calls, and HTTP."""

import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc
import httpx
from running_server import RunningServer
from tensor_protos import tensor

from tfs.savedmodel import protos

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

_LARGE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Client:
    """Both protocols of one server; a context manager."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.channel = grpc.insecure_channel(server.grpc_address, options=_LARGE)
        # Replies as they were written: packing large ones would be most of a test's time.
        headers = {"Accept-Encoding": "identity"}
        self.http = httpx.Client(base_url=f"http://{server.rest_address}", timeout=60, headers=headers)
        self.prediction = protos.load("prediction_service_pb2_grpc").PredictionServiceStub(self.channel)
        self.models = protos.load("model_service_pb2_grpc").ModelServiceStub(self.channel)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.channel.close()
        self.http.close()

    def predict(self, request: Any, timeout: float = 30) -> Any:
        return self.prediction.Predict(request, timeout=timeout)

    def echo(self, proto: Any) -> Any:
        """Return the TensorProto that the identity of `proto`'s dtype answers."""
        return self.predict(request(f"echo_{proto.dtype}", x=proto)).outputs["y"]

    def raw(self, path: str, message: bytes, timeout: float = 30) -> bytes:
        """Send these bytes as a message, whatever they are."""
        reply: bytes = self.channel.unary_unary(path)(message, timeout=timeout)
        return reply

    def post(self, body: Any, path: str = "/v1/models/kinds:predict") -> httpx.Response:
        """POST a body: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(path, content=content)

    def answer(self, body: Any, path: str = "/v1/models/kinds:predict") -> Any:
        """Return the JSON of a reply that must be 200."""
        response = self.post(body, path)
        assert response.status_code == 200, response.text
        return response.json()

    def check_alive(self) -> None:
        assert self.answer({"instances": [2.0, 4.0]}) == {"predictions": [3.0, 4.0]}
        reply = self.predict(request("", x=tensor("DT_FLOAT", [1], float_val=[2.0])))
        assert list(reply.outputs["y"].float_val) == [3.0]


def spec(name: str = "kinds", *, version: int | None = None, label: str | None = None, signature: str = "") -> Any:
    model_spec = protos.load("model_pb2").ModelSpec(name=name, signature_name=signature)
    if version is not None:
        model_spec.version.value = version
    if label is not None:
        model_spec.version_label = label
    return model_spec


def request(
    signature: str = "",
    model_spec: Any = None,
    output_filter: Sequence[str] = (),
    inputs: Mapping[str, Any] | None = None,
    **named: Any,
) -> Any:
    """Return a PredictRequest for a signature of `kinds`, or for another ModelSpec."""
    return protos.load("predict_pb2").PredictRequest(
        model_spec=model_spec or spec(signature=signature),
        inputs={**(inputs or {}), **named},
        output_filter=output_filter,
    )


def refusal(call: Any, *arguments: Any) -> tuple[str, str]:
    """Return name of the code and message of a gRPC call that must fail."""
    try:
        reply = call(*arguments)
    except grpc.RpcError as error:
        return error.code().name, error.details() or ""
    raise AssertionError(f"answered: {reply}")
