"""Requests to copy: for each signature a line of curl and a few lines of Python, with inputs that fit."""

import json
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np

from tfs.savedmodel.json_tensors import json_from_array
from tfs.savedmodel.reading import Signature

__all__ = ["RequestSample", "request_samples"]

_MAX_ELEMENTS = 16  # longer values would hide the request; they are written as a repetition

# The REST API neither reads nor writes tensors of other dtypes.
_REST_DTYPES = {
    *("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "bool", "string"),
}

_PYTHON = """\
import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

request = predict_pb2.PredictRequest()
request.model_spec.name = {model}
request.model_spec.signature_name = {signature}
{inputs}
with grpc.insecure_channel({address}) as channel:
    print(prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60))
"""


@dataclass(frozen=True)
class RequestSample:
    """How to call a signature.

    Attributes:
        signature: its name.
        curl: a shell command for the REST API; null if REST cannot carry one of its dtypes.
        grpc: a Python program for the gRPC API (needs tensorflow-serving-api).
    """

    signature: str
    curl: str | None
    grpc: str


def request_samples(
    signatures: Iterable[Signature],
    generate: Callable[[Signature], dict[str, np.ndarray]],
    *,
    model: str,
    rest: str = "http://localhost:8501",
    grpc: str = "localhost:8500",
) -> list[RequestSample]:
    """Return a sample for each signature.

    Args:
        signatures: what to call.
        generate: gives inputs for a signature; those with rows have one row.
        model: the name under which a server has it.
        rest: scheme, host and port of the REST API.
        grpc: host and port of the gRPC API.

    Raises:
        TfsError: inputs cannot be generated.
    """
    samples = []
    for signature in signatures:
        inputs = {alias: _rounded(array) for alias, array in generate(signature).items()}
        url = f"{rest}/v1/models/{quote(model, safe='')}:predict"
        samples.append(
            RequestSample(signature.name, _curl(signature, inputs, url), _python(signature, inputs, model, grpc))
        )
    return samples


def _rounded(array: np.ndarray) -> np.ndarray:
    return np.round(array, 2) if array.dtype.kind in "fc" else array


def _curl(signature: Signature, inputs: dict[str, np.ndarray], url: str) -> str | None:
    tensors = [*signature.inputs.values(), *signature.outputs.values()]
    if any(info.dtype not in _REST_DTYPES for info in tensors):
        return None
    shown = {alias: _Repeated(array) if _is_large(array) else json_from_array(array) for alias, array in inputs.items()}
    body = {"signature_name": signature.name, **_rows_or_columns(signature, shown)}
    if not any(isinstance(value, _Repeated) for value in shown.values()):
        return f"curl -s -d {shlex.quote(json.dumps(body, ensure_ascii=False))} {shlex.quote(url)}"
    program = f"import json; print(json.dumps({body!r}))"
    return f"python3 -c {shlex.quote(program)} | curl -s -d @- {shlex.quote(url)}"


class _Repeated:
    """A value of a large array in place of all of them; its repr is a Python expression, and its one row another."""

    def __init__(self, array: np.ndarray) -> None:
        self._value = json_from_array(array.ravel()[:1])[0]
        self._shape = array.shape

    def __repr__(self) -> str:
        text = repr(self._value)
        for size in reversed(self._shape):
            text = f"[{text}]*{size}" if size > 1 else f"[{text}]"
        return text

    def __getitem__(self, row: int) -> "_Repeated":
        rest = _Repeated.__new__(_Repeated)
        rest._value, rest._shape = self._value, self._shape[1:]
        return rest


def _is_large(array: np.ndarray) -> bool:
    return array.size > _MAX_ELEMENTS


def _rows_or_columns(signature: Signature, values: dict[str, Any]) -> dict[str, Any]:
    """Write inputs as rows, which is what people know, if all inputs and outputs have rows; else as columns."""
    shapes = [info.shape for info in (*signature.inputs.values(), *signature.outputs.values())]
    if not values or any(shape is None or not shape or shape[0] is not None for shape in shapes):
        return {"inputs": values}
    row = {alias: value[0] for alias, value in values.items()}
    return {"instances": [row if len(row) > 1 else next(iter(row.values()))]}


def _python(signature: Signature, inputs: dict[str, np.ndarray], model: str, address: str) -> str:
    lines = [
        f"request.inputs[{json.dumps(alias)}].CopyFrom({_tensor_text(array, signature.inputs[alias].dtype)})"
        for alias, array in inputs.items()
    ]
    return _PYTHON.format(
        model=json.dumps(model),
        signature=json.dumps(signature.name),
        inputs="\n".join(lines),
        address=json.dumps(address),
    )


def _tensor_text(array: np.ndarray, dtype: str) -> str:
    if _is_large(array):
        return f"tf.make_tensor_proto({_literal(array.ravel()[0])}, dtype=tf.{dtype}, shape={list(array.shape)})"
    shape = f", shape={list(array.shape)}" if array.size == 0 else ""
    return f"tf.make_tensor_proto({_literal(array)}, dtype=tf.{dtype}{shape})"


def _literal(array: np.ndarray) -> str:
    return repr(array.tolist() if array.dtype.kind in "Obiuc" or array.dtype == np.float64 else json_from_array(array))
