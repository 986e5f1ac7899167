"""`tfs inspect` reads TFLite files without LiteRT's interpreter, and says what the server offers."""

import json
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import load
from tfs.savedmodel.reading import signatures_of
from tfs.savedmodel.tflite_file import read_tflite
from tfs.serve.tflite import TfliteModel


def inspect(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tfs.cli", "inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", ["signatures", "lone", "names", "image", "int8", "slow"])
def test_signatures_are_those_of_the_server(tflite_models: Path, name: str) -> None:
    served = load("meta_graph_pb2").MetaGraphDef.FromString(TfliteModel(str(tflite_models / name), 1).meta_graph)
    assert read_tflite(tflite_models / name / "model.tflite").signatures == signatures_of(served)


def test_a_version_without_a_saved_model_is_described(tflite_models: Path, tmp_path: Path) -> None:
    done = inspect(tflite_models / "image", "--ops", "--html", tmp_path / "page.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert "TFLite model, without a SavedModel" in done.stdout
    assert all(word in done.stdout for word in ("image", "[?, 8, 8, 3]", "CONV_2D", "FULLY_CONNECTED"))
    assert "CONV_2D" in (tmp_path / "page.html").read_text()
    assert inspect(tflite_models / "image" / "model.tflite").returncode == 0
    assert "curl -s" in inspect(tflite_models / "lone", "--request").stdout


def test_a_version_without_a_saved_model_is_measured_in_process(tflite_models: Path) -> None:
    command = [sys.executable, "-m", "tfs.cli", "bench", str(tflite_models / "image"), "--duration=0.2", "--warmup=0"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    [step] = json.loads(done.stdout)["steps"]
    assert (step["requests"] > 0, step["errors"]) == (True, {})


def test_operations_that_litert_has_not_are_a_problem(tflite_models: Path) -> None:
    done = inspect(tflite_models / "unsupported")
    assert done.returncode == 0
    assert "problem: LiteRT has no operation `FlexMatrixDeterminant`" in done.stdout


def test_a_damaged_file_is_one_error(tflite_models: Path, tmp_path: Path) -> None:
    content = (tflite_models / "image" / "model.tflite").read_bytes()
    file = tmp_path / "model.tflite"
    draw = random.Random(7)
    for number in range(200):
        damaged = bytearray(content)
        if number % 2:
            del damaged[draw.randrange(len(damaged)) :]
        else:
            for _ in range(10):
                damaged[draw.randrange(8, len(damaged))] = draw.randrange(256)
        file.write_bytes(damaged)
        with suppress(TfsError):  # nothing else; bytes of weights may change without harm
            read_tflite(file)
    file.write_bytes(content[:-1000])
    done = inspect(file)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
