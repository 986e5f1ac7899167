"""A model that TensorFlow's C++ loader refuses for a well-known reason: the log names the cause and what mends it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from running_server import Models, RunningServer, publish

from tfs.savedmodel.warmup import PredictRecord, log_of_record, write_records
from tfs.serve.load_errors import hidden_defect, remedy

_TWICE = """
import sys
import keras, tensorflow as tf
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(3)])
tf.saved_model.save(model, sys.argv[1])
"""


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Op type not registered 'TFText>WhitespaceTokenizeWithOffsetsV2' in binary", "pip install tensorflow-text"),
        ("Op type not registered 'Addons>Gelu' in binary", "custom-op library Addons"),
        ("Op type not registered 'BrandNew' in binary", "a newer TensorFlow or a custom-op library"),
        ("some other failure", ""),
    ],
)
def test_the_remedy_names_what_is_missing(message: str, words: str) -> None:
    found = remedy(message, "m/1")
    assert words in found
    assert bool(found) == bool(words)


def test_wrong_tags_are_answered_with_the_command_that_shows_the_right_ones(
    models: Models, launch: Callable[..., RunningServer], tmp_path: Path
) -> None:
    publish(models.half_plus_two, tmp_path / "m", 1)
    flags = (f"--model_base_path={tmp_path / 'm'}", "--saved_model_tags=tpu", "--max_num_load_retries=0")
    server = launch(*flags)
    assert server.exit_code() == 1
    assert (
        f"(`tfs inspect {tmp_path / 'm' / '1'}` shows the tags it has; name them with --saved_model_tags)" in server.log
    )


def test_a_keras_model_with_double_variables_is_mended_by_the_command_that_the_log_names(
    launch: Callable[..., RunningServer], tmp_path: Path
) -> None:
    version = tmp_path / "m" / "1"
    subprocess.run([sys.executable, "-c", _TWICE, str(version)], check=True, capture_output=True)
    tfs = [sys.executable, "-m", "tfs.cli"]
    command = f"tfs optimize {version} --in-place"

    # TensorFlow has nothing against the model before the first request.
    server = launch(f"--model_base_path={tmp_path / 'm'}").wait_until_ready()
    [warning] = [line for line in server.lines if "its requests will fail" in line]
    assert "2 variables that the signatures read are not restored" in warning
    assert f"`{command}` mends it" in warning
    reply = httpx.post(f"http://{server.rest_address}/v1/models/default:predict", json={"instances": [[1.0, 2.0]]})
    assert "Could not find variable" in reply.json()["error"]
    assert server.stop() == 0

    # `tfs warmup` would refuse: it runs what it writes.
    record = PredictRecord("serving_default", {"inputs": np.ones([1, 2], np.float32)})
    write_records(version, [log_of_record(record)])
    flags = (f"--model_base_path={tmp_path / 'm'}", "--max_num_load_retries=0")
    server = launch(*flags)
    assert server.exit_code() == 1
    assert f"`{command}` mends it" in server.log
    subprocess.run([*tfs, *command.split()[1:]], check=True, capture_output=True)
    server = launch(*flags).wait_until_ready()
    assert server.rest_predict("default", 1.0).status_code == 400  # it takes two numbers
    assert "its requests will fail" not in server.log
    assert server.stop() == 0


def test_a_sound_model_has_no_hidden_defect(models: Models, tmp_path: Path) -> None:
    assert hidden_defect(str(models.half_plus_two), "m/1", ["serve"]) == ""
    assert hidden_defect(str(tmp_path), "m/1", ["serve"]) == "", "TensorFlow says what is wrong with no model"
    (tmp_path / "variables").mkdir()
    assert hidden_defect(str(tmp_path), "m/1", ["serve"]) == ""
