"""Ask a server once, over REST or gRPC."""

from tfs.serve.client.address import Address
from tfs.serve.client.calls import TIMEOUT_SECONDS, call_rest, refusals_of
from tfs.serve.client.prediction import Prediction, prediction_of_message, prediction_of_rest
from tfs.serve.client.request import Request

__all__ = ["ask"]


def ask(address: Address, request: Request) -> Prediction:
    """Send one request and return the answer.

    Raises:
        TfsError: the server cannot be reached or refuses (with its status and message), or the data does not fit.
    """
    return _ask_rest(address, request) if address.rest else _ask_grpc(address, request)


def _ask_rest(address: Address, request: Request) -> Prediction:
    import httpx

    with httpx.Client(timeout=TIMEOUT_SECONDS, **address.http_arguments()) as client:
        reply = call_rest(client, "POST", f"{address.target}{request.rest_path}", request.rest_body())
    return prediction_of_rest(reply, request.method, request.signature, request.version)


def _ask_grpc(address: Address, request: Request) -> Prediction:
    import grpc

    from tfs.savedmodel.protos import prediction_service_pb2_grpc

    message = request.message()
    with refusals_of(address), address.channel(grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        reply = getattr(stub, request.method.grpc_name)(message, timeout=TIMEOUT_SECONDS)
    return prediction_of_message(reply, request.method)
