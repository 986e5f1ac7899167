"""Requests for the model of make_batching_model.py."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from clients import Client, spec

from tfs.savedmodel.protos import load
from tfs.savedmodel.tensors import array_from_proto, proto_from_array


def ask(model: str, signature: str = "", outputs: Sequence[str] = (), **inputs: Any) -> Any:
    """Return a PredictRequest; floats and lists of them become float32, bytes become strings."""
    request = load("predict_pb2").PredictRequest(model_spec=spec(model, signature=signature), output_filter=outputs)
    for name, value in inputs.items():
        array = np.array(value)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(object)
        request.inputs[name].CopyFrom(proto_from_array(array))
    return request


def answer(client: Client, request: Any) -> dict[str, Any]:
    return {name: array_from_proto(proto).tolist() for name, proto in client.predict(request).outputs.items()}


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make all calls at the same time and return what each returned."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
