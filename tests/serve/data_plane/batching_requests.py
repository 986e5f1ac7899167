"""Requests for the model of make_batching_model.py."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from clients import Client, spec

from tfs.savedmodel.protos import load
from tfs.savedmodel.tensors import array_from_proto, proto_from_array

LONG = 300_000.0  # counted to by the signature `slow` in about a second


def ask(model: str, signature: str = "", outputs: Sequence[str] = (), **inputs: Any) -> Any:
    """Return a PredictRequest; arrays stay what they are, of other values floats become float32 and bytes strings."""
    request = load("predict_pb2").PredictRequest(model_spec=spec(model, signature=signature), output_filter=outputs)
    for name, value in inputs.items():
        array = np.array(value)
        if not isinstance(value, np.ndarray):
            array = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(object)
        request.inputs[name].CopyFrom(proto_from_array(array))
    return request


def answer(client: Client, request: Any) -> dict[str, Any]:
    return {name: array_from_proto(proto).tolist() for name, proto in client.predict(request).outputs.items()}


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make all calls at the same time and return what each returned."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def answers(client: Client, *requests: Any) -> list[dict[str, Any]]:
    return together([lambda request=request: answer(client, request) for request in requests])


def occupy(client: Client, model: str) -> Any:
    """Keep the only thread busy for a while with a run of `model`; the result waits for its end."""
    running = client.prediction.Predict.future(ask(model, "slow", x=[LONG]), timeout=30)
    time.sleep(0.15)
    assert not running.done(), "the run is long enough"
    return running


def later(client: Client, *requests: Any) -> list[Any]:
    """Send requests one after the other while the thread is busy; return their futures."""
    futures = []
    for request in requests:
        futures.append(client.prediction.Predict.future(request, timeout=30))
        time.sleep(0.03)
    return futures
