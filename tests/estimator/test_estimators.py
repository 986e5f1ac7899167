"""Real Estimators of TensorFlow 2.15 through their own export."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfs.exporters.exporting import ExportedVersion, export
from tfs.exporters.options import ExportOptions
from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.protos import example_pb2
from tfs.savedmodel.reading import read_signatures

_FILE = Path(__file__).parent / "estimators.py"
_CUSTOM = _FILE.parents[1] / "exporters" / "custom_estimator.py"
_SIZE = {"shape": [2]}
_COLOR = {"dtype": "string", "shape": [1]}
_RECEIVERS = {
    "classifier": {"feature_columns": f"{_FILE}:numbers", "kind": "both"},
    "regressor": {"features": {"size": _SIZE, "color": {**_COLOR, "default": "red"}}, "kind": "both"},
    "combined": {"feature_columns": f"{_FILE}:words", "kind": "both"},
    "from_keras": {"features": {"size": _SIZE}, "kind": "raw"},
    "custom": {"feature_columns": f"{_CUSTOM}:columns", "kind": "both"},
}
_CLASSIFIER = {"serving_default": "classify", "classification": "classify", "predict": "predict"}
_METHODS = {
    "classifier": {**_CLASSIFIER, "raw:predict": "predict"},
    "regressor": {
        **{"serving_default": "regress", "regression": "regress", "predict": "predict", "raw:predict": "predict"}
    },
    "combined": {**_CLASSIFIER, "regression": "regress", "raw:predict": "predict"},
    "from_keras": {"serving_default": "predict"},
    "custom": {
        **{"serving_default": "predict", "raw:serving_default": "predict", "classify": "classify", "regress": "regress"}
    },
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Each Estimator by its name, trained a little."""
    os.environ["TFS_TEST_MODEL_DIRS"] = str(tmp_path_factory.mktemp("model_dirs"))
    import estimators

    return {name: estimators.trained(name) for name in _RECEIVERS}


@pytest.fixture(scope="module")
def published(trained, tmp_path_factory):
    """Each Estimator exported, as a base path by its name."""
    base = tmp_path_factory.mktemp("published")
    return {name: _export(name, _RECEIVERS[name], base / name) for name in trained}


def _export(name, receiver, base, **options):
    described = {"source": f"{_FILE}:{name}", "receiver": receiver, **options}
    return export(ExportOptions.model_validate(described), base)


def _serialized(features):
    examples = []
    for row in range(len(next(iter(features.values())))):
        example = example_pb2.Example()
        for name, values in features.items():
            value, feature = np.atleast_1d(values[row]), example.features.feature[name]
            (feature.bytes_list if value.dtype == object else feature.float_list).value.extend(value)
        examples.append(example.SerializeToString())
    return np.array(examples, dtype=object)


def _ask(exported, signature, *values):
    """Ask through the v1 loader, as servers load; values in the order of the inputs' names."""
    import tensorflow as tf

    inputs, outputs = exported.signatures[signature].inputs, exported.signatures[signature].outputs
    feeds = {inputs[alias].name: value for alias, value in zip(sorted(inputs), values, strict=True)}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(exported.path))
        return session.run({alias: info.name for alias, info in outputs.items()}, feeds)


def _predicted(estimator, features):
    """What the Estimator itself predicts, one array for each output."""
    import estimators

    rows = list(estimator.predict(lambda: estimators.input_fn(features)))
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


@pytest.mark.parametrize("name", list(_RECEIVERS))
def test_an_estimator_answers_as_before_its_export(trained, published, name):
    import estimators

    features, _ = estimators.data(name)
    predicted = _predicted(trained[name], features)
    methods = {key: value.method_name.rpartition("/")[2] for key, value in published[name].signatures.items()}
    assert methods == _METHODS[name]
    for signature, method in methods.items():
        raw = _RECEIVERS[name]["kind"] == "raw" if "kind" in _RECEIVERS[name] else False
        tensors = [features[key][:, None] if features[key].ndim == 1 else features[key] for key in sorted(features)]
        given = tensors if raw or signature.startswith("raw:") else [_serialized(features)]
        answered = _ask(published[name], signature, *given)
        if method == "predict":
            assert set(answered) == set(predicted)
            for key, values in predicted.items():
                same = np.array_equal if values.dtype.kind not in "f" else lambda a, b: np.allclose(a, b, atol=1e-5)
                assert same(answered[key], values), key
        else:
            scores = "scores" if method == "classify" else "outputs"
            expected = predicted.get("probabilities", predicted.get("scores", predicted.get("predictions")))
            if method == "regress":
                expected = predicted.get("logistic", expected[:, :1])
            np.testing.assert_allclose(answered[scores], expected, atol=1e-5)
        if method == "classify" and name == "classifier":
            assert answered["classes"][0].tolist() == [b"small", b"middle", b"large"]


def test_a_default_stands_in_for_a_feature_that_an_example_leaves_out(published):
    size = {"size": np.array([[0.25, 0.5]], np.float32)}
    left_out = _ask(published["regressor"], "predict", _serialized(size))
    red = _ask(published["regressor"], "predict", _serialized({**size, "color": np.array([[b"red"]], object)}))
    blue = _ask(published["regressor"], "predict", _serialized({**size, "color": np.array([[b"blue"]], object)}))
    assert left_out["predictions"].tolist() == red["predictions"].tolist() != blue["predictions"].tolist()


def test_a_classifier_on_tensors_has_a_default_signature_too(trained, tmp_path):
    exported = _export("classifier", {**_RECEIVERS["classifier"], "kind": "raw"}, tmp_path)
    assert {name: sorted(signature.inputs) for name, signature in exported.signatures.items()} == {
        "predict": ["length", "width"],
        "serving_default": ["length", "width"],
    }


def test_declared_signatures_stand_around_those_of_an_estimator(trained, published, tmp_path):
    import estimators

    declared = {"of": "raw:predict", "inputs": {"l": "length", "w": "width"}, "outputs": {"p": "probabilities"}}
    exported = _export("classifier", _RECEIVERS["classifier"], tmp_path, signatures={"short": declared})
    assert set(exported.signatures) == {*_METHODS["classifier"], "short"}
    features, _ = estimators.data("classifier")
    given = [features["length"][:, None], features["width"][:, None]]
    answered, expected = _ask(exported, "short", *given), _ask(published["classifier"], "raw:predict", *given)
    np.testing.assert_allclose(answered["p"], expected["probabilities"], atol=1e-6)


def test_only_the_signatures_that_are_kept_are_published(trained, tmp_path):
    exported = _export("classifier", _RECEIVERS["classifier"], tmp_path, keep_signatures=["raw:predict"], tags=["mine"])
    assert list(exported.signatures) == ["raw:predict"]


def test_another_checkpoint_than_the_latest_can_be_exported(trained, published, tmp_path):
    directory = Path(trained["regressor"].model_dir)
    first = _export("regressor", _RECEIVERS["regressor"], tmp_path, checkpoint=directory / "model.ckpt-0")
    example = _serialized({"size": np.ones((1, 2), np.float32)})
    assert _ask(first, "predict", example)["predictions"].tolist() == [[0.0]], "not trained yet"
    assert _ask(published["regressor"], "predict", example)["predictions"].item() != 0.0


@pytest.mark.parametrize("python", [os.environ["TFS_PYTHON"], sys.executable], ids=["the current TensorFlow", "2.15"])
def test_a_model_fn_needs_no_estimator_and_writes_the_same(trained, published, tmp_path, python):
    """What TensorFlow 2.15 has trained is exported by its `model_fn` and checkpoint."""
    import estimators

    (tmp_path / "receiver.yaml").write_text(json.dumps(_RECEIVERS["custom"]))
    options = {
        "--model-fn": f"{_CUSTOM}:model_fn",
        "--params": f"{_CUSTOM}:params",
        "--checkpoint": trained["custom"].model_dir,
        "--receiver": tmp_path / "receiver.yaml",
        "--output": tmp_path / "m",
    }
    command = [python, "-m", "tfs.cli", "export", "--json"]
    command += [str(part) for option in options.items() for part in option]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["path"] == str(tmp_path / "m" / "1")
    features, _ = estimators.data("custom")
    examples = _serialized(features)
    written = ExportedVersion(tmp_path / "m" / "1", 1, read_signatures(tmp_path / "m" / "1"), 0)

    for signature in _METHODS["custom"]:
        given = [features["word"], features["x"]] if signature.startswith("raw:") else [examples]
        theirs, ours = _ask(published["custom"], signature, *given), _ask(written, signature, *given)
        assert set(theirs) == set(ours)
        for key, values in theirs.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(ours[key], values, atol=1e-6)
            else:
                assert np.array_equal(ours[key], values)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("untrained", {}, "there is no checkpoint in .*untrained` .train"),
        ("classifier", {"receiver": {"features": {"length": {}}}}, "width is not in features dictionary"),
        (
            "classifier",
            {"receiver": {"features": {"length": {}, "width": {}, "heigth": {}}}},
            "the model does not read the feature `heigth`",
        ),
        ("classifier", {"receiver": {"feature_columns": f"{_FILE}:nothing"}}, "has no `nothing`"),
        (
            "combined",
            {"receiver": {"features": {"tags": {"dtype": "string", "kind": "ragged"}}, "kind": "raw"}},
            "feature `tags` has no fixed length",
        ),
        ("classifier", {"checkpoint": "custom"}, r"checkpoint `.*` has no values for `dnn/hiddenlayer_0/bias`"),
        ("classifier", {"keep_signatures": ["predicts"]}, r"has no signature `predicts` \(did you mean `predict`"),
        ("classifier", {"checkpoint": "nowhere"}, "there is no checkpoint `.*nowhere`"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_published(trained, tmp_path, name, options, words):
    options = {"receiver": _RECEIVERS["classifier"], **options}
    if "checkpoint" in options:
        options["checkpoint"] = Path(os.environ["TFS_TEST_MODEL_DIRS"]) / options["checkpoint"]
    with pytest.raises(TfsError, match=words) as refused:
        _export(name, base=tmp_path / "m", **options)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "m").exists()


def test_an_estimator_without_a_receiver_says_what_it_needs(trained, tmp_path):
    with pytest.raises(UsageError, match="DNNClassifier does not say what its features are"):
        _export("classifier", None, tmp_path / "m")


def test_a_file_of_keras_3_says_which_tensorflow_reads_it(tmp_path):
    save = "import keras, sys; keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(sys.argv[1])"
    subprocess.run([os.environ["TFS_PYTHON"], "-c", save, tmp_path / "m.keras"], check=True, capture_output=True)
    with pytest.raises(TfsError, match=r"m.keras` cannot be loaded: .*this is 2\.15\.\d+: TensorFlow 2\.16 has"):
        export(ExportOptions(source=str(tmp_path / "m.keras")), tmp_path / "m")
