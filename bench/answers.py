"""Whether the answers are right: a server that gives wrong ones is not measured."""

from typing import Any

import grpc
import httpx
import numpy as np
from models import Model
from server import PREDICT

from tfs.savedmodel.protos import load
from tfs.savedmodel.tensors import array_from_proto

__all__ = ["WrongAnswerError", "ask_grpc", "check_grpc", "check_rest"]

_UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
_TIMEOUT = 60.0  # seconds; the first request of a server that does not warm up takes long


class WrongAnswerError(Exception):
    """The server gave an answer that is not the model's."""


def ask_grpc(address: str, message: bytes) -> tuple[dict[str, np.ndarray], int]:
    """Send a serialized PredictRequest; return the outputs by alias and the bytes of the reply."""
    with grpc.insecure_channel(address, _UNLIMITED) as channel:
        reply = channel.unary_unary(PREDICT)(message, timeout=_TIMEOUT)
    outputs = load("predict_pb2").PredictResponse.FromString(reply).outputs
    return {alias: array_from_proto(proto) for alias, proto in outputs.items()}, len(reply)


def check_grpc(address: str, model: Model, rows: int = 1) -> int:
    """Ask for some rows and compare; return the bytes of the reply.

    Raises:
        WrongAnswerError: an output differs.
    """
    outputs, size = ask_grpc(address, model.message(rows))
    _check_outputs(f"gRPC at {address}", model, outputs)
    return size


def check_rest(url: str, model: Model, rows: int = 1, body: bytes | None = None) -> None:
    """As `check_grpc`, over REST; `body` is the request in the words of another protocol than ours."""
    body = body or model.body(rows)
    reply = httpx.post(url, content=body, headers={"content-type": "application/json"}, timeout=_TIMEOUT)
    if reply.is_error:
        raise WrongAnswerError(f"{url}: status {reply.status_code}: {reply.text[:200]}")
    _check_outputs(url, model, _outputs_of(reply.json(), model))


def _outputs_of(answer: Any, model: Model) -> dict[str, np.ndarray]:
    """Return the outputs in a REST answer: rows, with or without `predictions` around them, or a V2 tensor."""
    if isinstance(answer, dict) and "outputs" in answer:
        [tensor] = answer["outputs"]
        return {next(iter(model.outputs)): np.array(tensor["data"]).reshape(tensor["shape"])}
    rows = answer["predictions"] if isinstance(answer, dict) else answer
    if isinstance(rows[0], dict):
        return {alias: np.array([row[alias] for row in rows]) for alias in rows[0]}
    return {next(iter(model.outputs)): np.array(rows)}


def _check_outputs(who: str, model: Model, outputs: dict[str, np.ndarray]) -> None:
    """Compare the outputs of the model's first rows.

    Raises:
        WrongAnswerError: an output is missing, or differs from that of TensorFlow's Python.
    """
    if outputs.keys() != model.outputs.keys():
        raise WrongAnswerError(f"{who}: {model.name} has the outputs {sorted(outputs)}")
    for alias, array in model.outputs.items():
        got = outputs[alias]
        expected = np.resize(array, (len(got), *array.shape[1:]))
        if not np.allclose(got.reshape(expected.shape), expected, rtol=1e-3, atol=1e-5):
            raise WrongAnswerError(f"{who}: {alias} of {model.name} is {got}, not {expected}")
