"""recipes/iris_estimator.yaml with TensorFlow 2.15; its version is served by this release's engine and by today's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from running_server import RunningServer

from tfs.savedmodel import protos
from tfs.savedmodel.protos import example_pb2
from tfs.savedmodel.reading import read_signatures

_ROOT = Path(__file__).parents[2]
_RECIPE = "recipes/iris_estimator.yaml"
_TODAY = os.environ["TFS_PYTHON"]


def _run(python, folder):
    command = [python, "-m", "tfs.cli", "run", _RECIPE, "--json"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the recipe has run."""
    folder = tmp_path_factory.mktemp("iris")
    (folder / "recipes").symlink_to(_ROOT / "recipes")
    done = _run(sys.executable, folder)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["warmup_records"] > 0
    assert result["inspection"]["signatures"] == ["classification", "predict", "raw:predict", "serving_default"]
    return folder


@pytest.fixture(scope="module")
def iris(folder):
    """The module of the recipe."""
    sys.path.insert(0, str(_ROOT / "recipes"))
    import iris_estimator

    return iris_estimator


@pytest.fixture(scope="module")
def predicted(folder, iris):
    """The probabilities [150, 3] of the trained Estimator itself."""
    import tensorflow as tf

    measures, _ = iris.flowers()
    before = Path.cwd()
    os.chdir(folder)
    try:
        rows = iris.estimator().predict(lambda: tf.data.Dataset.from_tensor_slices(measures).batch(50))
        return np.stack([row["probabilities"] for row in rows])
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def examples(iris):
    """One tf.train.Example for each flower."""
    measures, _ = iris.flowers()
    made = [example_pb2.Example() for _ in range(150)]
    for name, values in measures.items():
        for example, value in zip(made, values, strict=True):
            example.features.feature[name].float_list.value.append(value)
    return made


def test_the_estimator_has_learned(iris, predicted):
    _, species = iris.flowers()
    assert (
        np.mean([iris.SPECIES[row.argmax()] == name.decode() for row, name in zip(predicted, species, strict=True)])
        > 0.9
    )


def test_both_loaders_of_tensorflow_agree_with_it(folder, examples, predicted):
    import tensorflow as tf

    version = folder / ".demo/models/iris/1"
    serialized = np.array([example.SerializeToString() for example in examples], dtype=object)
    loaded = tf.saved_model.load(str(version)).signatures["predict"](examples=tf.constant(serialized))
    np.testing.assert_allclose(loaded["probabilities"].numpy(), predicted, atol=1e-5)
    signature = read_signatures(version)["predict"]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(version))
        feeds = {signature.inputs["examples"].name: serialized}
        answered = session.run(signature.outputs["probabilities"].name, feeds)
    np.testing.assert_allclose(answered, predicted, atol=1e-5)


@pytest.mark.parametrize("python", [sys.executable, _TODAY], ids=["TensorFlow 2.15", "the current TensorFlow"])
def test_a_server_answers_predict_and_classify_on_grpc_and_rest(folder, iris, examples, predicted, python):
    base = folder / ".demo/models/iris"
    with RunningServer("--model_name=iris", f"--model_base_path={base}", python=python) as server:
        server.wait_for_line(r"TensorFlow 2\.15\." if python == sys.executable else r"TensorFlow 2\.(1[6-9]|2)")
        stub = protos.load("prediction_service_pb2_grpc").PredictionServiceStub(server.channel)
        measures, _ = iris.flowers()

        predict = protos.load("predict_pb2").PredictRequest()
        predict.model_spec.name, predict.model_spec.signature_name = "iris", "raw:predict"
        for name, values in measures.items():
            predict.inputs[name].dtype = 1
            predict.inputs[name].float_val.extend(values)
            for size in (150, 1):
                predict.inputs[name].tensor_shape.dim.add(size=size)
        answer = stub.Predict(predict, timeout=30).outputs["probabilities"]
        values = np.frombuffer(answer.tensor_content, np.float32) if answer.tensor_content else answer.float_val
        np.testing.assert_allclose(np.reshape(values, (150, 3)), predicted, atol=1e-5)

        classify = protos.load("classification_pb2").ClassificationRequest()
        classify.model_spec.name = "iris"
        classify.input.example_list.examples.extend(examples)
        classified = stub.Classify(classify, timeout=30).result.classifications
        scores = [[one.score for one in each.classes] for each in classified]
        np.testing.assert_allclose(scores, predicted, atol=1e-5)
        assert [one.label for one in classified[0].classes] == iris.SPECIES

        rows = [{name: [float(values[row])] for name, values in measures.items()} for row in range(5)]
        url = f"http://{server.rest_address}/v1/models/iris"
        sent = {"signature_name": "raw:predict", "instances": rows}
        answers = httpx.post(f"{url}:predict", json=sent, timeout=30).json()["predictions"]
        np.testing.assert_allclose([row["probabilities"] for row in answers], predicted[:5], atol=1e-5)
        results = httpx.post(f"{url}:classify", json={"examples": rows}, timeout=30).json()["results"]
        assert [[label for label, _ in row] for row in results] == [iris.SPECIES] * 5
        np.testing.assert_allclose([[score for _, score in row] for row in results], predicted[:5], atol=1e-5)

        classify.input.example_list.examples[0].features.Clear()
        with pytest.raises(grpc.RpcError) as refused:
            stub.Classify(classify, timeout=30)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_newer_tensorflow_says_in_one_line_which_one_the_recipe_needs(folder):
    done = _run(_TODAY, folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'tensorflow==2.15.*'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert [entry.name for entry in (folder / ".demo/models/iris").iterdir()] == ["1"]
