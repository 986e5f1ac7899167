"""What holds for any requests at any time: each gets what it would get alone, and is run exactly once."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from batching_requests import ask
from batching_servers import batching_client
from clients import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfs.savedmodel.tensors import array_from_proto

MODELS = {
    "batched": "max_batch_size { value: 12 } max_enqueued_batches { value: 1000 }",
    "filled": "max_batch_size { value: 12 } allowed_batch_sizes: 5 allowed_batch_sizes: 12",
    "split": (
        "max_batch_size { value: 12 } max_execution_batch_size { value: 3 } max_enqueued_batches { value: 1000 } "
        "enable_large_batch_splitting { value: true }"
    ),
    "alone": None,
}

_ELEMENTS = {
    np.float64: st.floats(width=64),
    np.float16: st.floats(width=16),
    np.int64: st.integers(-(2**63), 2**63 - 2),
    np.bool_: st.booleans(),
    object: st.binary(max_size=30),
}


@pytest.fixture(scope="module", params=["--enable_batching", "--adaptive_batching"])
def client(
    request: pytest.FixtureRequest, batching_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    with batching_client(batching_model, tmp_path_factory.mktemp("bases"), MODELS, request.param) as client:
        yield client


@st.composite
def _tensors(draw: st.DrawFn, rows: int, dtype: type) -> np.ndarray:
    """A tensor of so many rows, which are scalars or of any small shape, empty ones included."""
    shape = (rows, *draw(st.lists(st.integers(0, 3), max_size=2)))
    count = int(np.prod(shape))
    values = draw(st.lists(_ELEMENTS[dtype], min_size=count, max_size=count))
    array = np.empty(shape, dtype)
    array.ravel()[:] = values
    return array


@st.composite
def _requests(draw: st.DrawFn) -> tuple[str, dict[str, np.ndarray]]:
    """A signature and its inputs."""
    signature, rows = draw(st.sampled_from(["", "types", "texts", "checked"])), draw(st.integers(0, 5))
    if signature == "types":
        dtypes = dict(zip("dhibs", _ELEMENTS, strict=True))
        return signature, {name: draw(_tensors(rows, dtype)) for name, dtype in dtypes.items()}
    if signature == "texts":
        values = np.empty(rows, object)
        values[:] = draw(st.lists(st.binary(max_size=40), min_size=rows, max_size=rows))
        return signature, {"s": values}
    # `checked` refuses what is negative.
    values = draw(st.lists(st.floats(-1, 9, width=32), min_size=rows, max_size=rows))
    return signature, {"x": np.array(values, np.float32)}


def _outcome(future: Any) -> dict[str, bytes] | grpc.StatusCode:
    """The serialized outputs but the one that tells how many rows were run, or the code of the error."""
    try:
        outputs = future.result().outputs
    except grpc.RpcError as error:
        return error.code()
    return {name: proto.SerializeToString() for name, proto in outputs.items() if name != "rows"}


@pytest.mark.parametrize("model", ["batched", "filled", "split"])
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests=st.lists(st.tuples(_requests(), st.sampled_from([0, 0, 0, 0.001])), min_size=1, max_size=12))
def test_each_gets_what_it_gets_alone(
    client: Client, model: str, requests: list[tuple[tuple[str, dict[str, np.ndarray]], float]]
) -> None:
    futures = []
    for (signature, inputs), pause in requests:
        futures.append(client.prediction.Predict.future(ask(model, signature, **inputs), timeout=30))
        time.sleep(pause)
    expected = [
        client.prediction.Predict.future(ask("alone", signature, **inputs), timeout=30)
        for (signature, inputs), _ in requests
    ]
    assert [_outcome(future) for future in futures] == [_outcome(future) for future in expected]


@pytest.mark.parametrize("model", ["batched", "split"])
def test_each_row_is_run_exactly_once(client: Client, model: str) -> None:
    total = 0
    chance = np.random.default_rng(5)
    for _ in range(20):
        sent = [chance.integers(-1000, 1000, chance.integers(0, 7)) for _ in range(40)]
        futures = [client.prediction.Predict.future(ask(model, "tally", x=x), timeout=30) for x in sent]
        for future, x in zip(futures, sent, strict=True):
            np.testing.assert_array_equal(array_from_proto(future.result().outputs["y"]), x)
        total += int(sum(x.sum() for x in sent))
    reply = client.predict(ask(model, "tallied", x=np.zeros(1, np.int64)))
    assert array_from_proto(reply.outputs["y"]).tolist() == [total]
