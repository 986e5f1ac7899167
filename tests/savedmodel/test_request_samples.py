import json
import shlex
import subprocess

import numpy as np

from tfs.savedmodel.reading import Signature, TensorInfo
from tfs.savedmodel.request_samples import request_samples
from tfs.savedmodel.synthetic import generate


def _sample(**shapes_and_dtypes):
    inputs = {alias: TensorInfo(dtype, shape, f"{alias}:0") for alias, (dtype, shape) in shapes_and_dtypes.items()}
    signature = Signature("s", inputs, {}, "tensorflow/serving/predict")
    [sample] = request_samples([signature], lambda one: generate(one, 1, 0), model="m n")
    return sample


def _body(curl):
    """What curl would send: the command with `cat` in place of curl."""
    sent = curl.rpartition("| curl")[0]
    if sent:
        return json.loads(subprocess.run(["bash", "-c", sent], check=True, capture_output=True, text=True).stdout)
    words = shlex.split(curl)
    assert words[:3] == ["curl", "-s", "-d"]
    assert words[4:] == ["http://localhost:8501/v1/models/m%20n:predict"]
    return json.loads(words[3])


def test_rows_are_instances_and_other_inputs_columns():
    body = _body(_sample(x=("float32", (None, 2))).curl)
    assert np.shape(body["instances"]) == (1, 2)
    body = _body(_sample(x=("float32", (None, 2)), words=("string", (None,))).curl)
    assert list(body["instances"][0]) == ["x", "words"]
    body = _body(_sample(x=("float32", (None, 2)), limit=("int32", ())).curl)
    assert np.shape(body["inputs"]["x"]) == (1, 2)
    assert body["inputs"]["limit"] in (0, 1)


def test_large_inputs_are_a_repetition_of_the_right_shape():
    sample = _sample(images=("float32", (None, 32, 32, 3)))
    assert len(sample.curl) < 300
    assert np.shape(_body(sample.curl)["instances"]) == (1, 32, 32, 3)
    assert "shape=[1, 32, 32, 3])" in sample.grpc
    fixed = _sample(images=("uint8", (2, 32, 32)))
    assert np.shape(_body(fixed.curl)["inputs"]["images"]) == (2, 32, 32)


def test_what_rest_cannot_carry_has_no_curl_line():
    sample = _sample(z=("complex64", (None,)))
    assert sample.curl is None
    assert "dtype=tf.complex64" in sample.grpc
