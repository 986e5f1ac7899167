"""What users of the MNIST tutorials do: a TF 1 graph with one named signature, and a client that writes flat values."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_server import AVAILABLE, RunningServer, publish

from tfs.savedmodel import protos

# A softmax over the digits of scikit-learn, padded to MNIST's size; version 1 has seen one batch, version 2 500.
_TRAIN = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf
from sklearn.datasets import load_digits

tf.disable_eager_execution()
tf.set_random_seed(1)
digits = load_digits()
images = np.pad(digits.images.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))[..., None].astype(np.float32) / 16
labels = np.eye(10, dtype=np.float32)[digits.target]

x = tf.placeholder(tf.float32, [None, 28, 28, 1], name="x")
y = tf.placeholder(tf.float32, [None, 10])
weights, bias = tf.Variable(tf.zeros([784, 10])), tf.Variable(tf.zeros([10]))
scores = tf.nn.softmax(tf.matmul(tf.reshape(x, [-1, 784]), weights) + bias, name="scores")
loss = -tf.reduce_mean(tf.reduce_sum(y * tf.log(scores + 1e-9), axis=1))
step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
signature = tf.saved_model.signature_def_utils.build_signature_def(
    inputs={"images": tf.saved_model.utils.build_tensor_info(x)},
    outputs={"scores": tf.saved_model.utils.build_tensor_info(scores)},
    method_name=tf.saved_model.signature_constants.PREDICT_METHOD_NAME,
)
order = np.random.default_rng(1).permutation(len(images))
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for version, batches in ((1, 1), (2, 499)):
        for batch in np.resize(order, (batches, 50)):
            session.run(step, {x: images[batch], y: labels[batch]})
        builder = tf.saved_model.builder.SavedModelBuilder(f"{sys.argv[1]}/{version}")
        tags = [tf.saved_model.tag_constants.SERVING]
        builder.add_meta_graph_and_variables(session, tags, signature_def_map={"predict_images": signature})
        builder.save()
        np.save(f"{sys.argv[1]}/scores_{version}.npy", session.run(scores, {x: images[:100]}))
np.savez(f"{sys.argv[1]}/data.npz", images=images[:100], labels=digits.target[:100])
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mnist")
    done = subprocess.run([sys.executable, "-c", _TRAIN, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def server(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Two names for two base paths, as the tutorial's last config has it; `mnist` keeps all its versions."""
    folder = tmp_path_factory.mktemp("served")
    publish(trained / "1", folder / "mnist", 1)
    publish(trained / "2", folder / "mnist2", 1)
    config = folder / "model.conf"
    # With the tutorial's colons and commas.
    config.write_text(f"""
        model_config_list: {{
          config: {{
            name: "mnist",
            base_path: "{folder}/mnist",
            model_platform: "tensorflow",
            model_version_policy: {{ all: {{}} }},
          }},
          config: {{
            name: "mnist2",
            base_path: "{folder}/mnist2",
            model_platform: "tensorflow",
          }},
        }}
    """)
    with RunningServer(f"--model_config_file={config}") as server:
        publish(trained / "2", folder / "mnist", 2)
        server.wait_for_states("mnist", {1: AVAILABLE, 2: AVAILABLE})
        yield server


@pytest.fixture(scope="module")
def classify(server: RunningServer) -> Callable[..., Any]:
    """Ask as the tutorial's client in Go does: four dimensions, and all values in one flat `float_val`."""
    stub = protos.load("prediction_service_pb2_grpc").PredictionServiceStub(server.channel)

    def ask(images: np.ndarray, name: str = "mnist", version: int | None = None) -> np.ndarray:
        request = protos.load("predict_pb2").PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = name, "predict_images"
        if version is not None:
            request.model_spec.version.value = version
        tensor = request.inputs["images"]
        tensor.dtype = 1
        for size in images.shape:
            tensor.tensor_shape.dim.add(size=size)
        tensor.float_val.extend(images.ravel().tolist())
        return np.array(stub.Predict(request, timeout=30).outputs["scores"].float_val).reshape(-1, 10)

    return ask


@pytest.mark.parametrize(("name", "version", "trained_as"), [("mnist", 1, 1), ("mnist", None, 2), ("mnist2", None, 2)])
def test_a_flat_request_gets_the_scores_of_the_version_it_names(trained, classify, name, version, trained_as):
    images = np.load(trained / "data.npz")["images"]
    expected = np.load(trained / f"scores_{trained_as}.npy")
    np.testing.assert_allclose(classify(images, name, version), expected, atol=1e-5)
    np.testing.assert_allclose(classify(images[:1], name, version), expected[:1], atol=1e-5)


def test_the_longer_trained_version_knows_more(trained, classify):
    data = np.load(trained / "data.npz")

    def accuracy(version: int) -> float:
        return float((classify(data["images"], version=version).argmax(axis=1) == data["labels"]).mean())

    assert accuracy(1) < 0.9 < accuracy(2)
