"""SavedModels with a signature for each question about the data plane, and one server for each test module."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import Client
from decoding_cases import CASES
from made_models import Made
from running_server import RunningServer, publish


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("data_plane")
    questions, answers = folder / "cases", folder / "answers"
    questions.write_bytes(pickle.dumps([(case.dtype, case.proto.SerializeToString()) for case in CASES]))
    script = Path(__file__).with_name("make_models.py")
    command = [sys.executable, str(script), str(folder), str(questions), str(answers)]
    # Its complaints about TensorProtos that it refuses are no news.
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    decoded = zip((case.name for case in CASES), pickle.loads(answers.read_bytes()), strict=True)
    text = folder / "text"
    return Made(folder / "kinds", text if text.exists() else None, dict(decoded))


def make_model(script: str, folder: Path) -> Path:
    """Run a script that writes a SavedModel, and return where that is."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(Path(__file__).with_name(script)), str(folder / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return folder / "model"


@pytest.fixture(scope="session")
def batching_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel whose answers tell how many rows were run together."""
    return make_model("make_batching_model.py", tmp_path_factory.mktemp("batching"))


@pytest.fixture(scope="session")
def examples_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel whose signatures read tf.Examples."""
    return make_model("make_examples_model.py", tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="session")
def tflite_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of make_tflite_models.py."""
    folder = tmp_path_factory.mktemp("tflite_models")
    command = [sys.executable, str(Path(__file__).with_name("make_tflite_models.py")), str(folder)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def client(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Clients of a server with `kinds` as version 7, whose name a request has to spell out."""
    base = tmp_path_factory.mktemp("kinds")
    publish(made.kinds, base, 7)
    with RunningServer("--model_name=kinds", f"--model_base_path={base}") as server, Client(server) as client:
        yield client
        client.check_alive()
