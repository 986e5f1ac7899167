"""A model with tensorflow-text's ops is served without Python's TensorFlow."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import Client, request, spec
from made_models import Made
from running_server import RunningServer, publish
from tensor_protos import tensor


@pytest.fixture
def client(made: Made, tmp_path: Path) -> Iterator[Client]:
    if made.text is None:
        pytest.skip("tensorflow-text is not installed")
    publish(made.text, tmp_path, 1)
    with RunningServer("--model_name=text", f"--model_base_path={tmp_path}") as server, Client(server) as client:
        yield client


def test_tokens_over_both_protocols(client: Client) -> None:
    sent = tensor("DT_STRING", [2], string_val=["ein  Wörtchen mehr".encode(), b"one"])
    answer = client.predict(request(model_spec=spec("text"), s=sent)).outputs["tokens"]
    assert list(answer.string_val) == [b"ein", "Wörtchen".encode(), b"mehr", b"one", b"", b""]
    rows = client.answer({"instances": ["ein  Wörtchen mehr", "one"]}, "/v1/models/text:predict")
    assert rows == {"predictions": [["ein", "Wörtchen", "mehr"], ["one", "", ""]]}
