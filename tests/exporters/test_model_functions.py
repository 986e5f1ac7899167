"""A custom Estimator's `model_fn` and checkpoint, exported by a TensorFlow that has no tf.estimator."""

from pathlib import Path

import numpy as np
import pytest

from tfs.exporters.estimator_names import RunConfig, estimator_names, hint_for
from tfs.exporters.exporting import export
from tfs.exporters.options import ExportOptions
from tfs.exporters.sources.python_objects import load_object
from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.protos import example_pb2

_FILE = Path(__file__).parent / "custom_estimator.py"
_FEATURES = {"x": {"shape": [2]}, "word": {"dtype": "string", "shape": [1], "default": "b"}}


def _named(name):
    return f"{_FILE}:{name}"


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A model_dir with two checkpoints of the `model_fn`, the later one trained."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("model_dir")
    with estimator_names(), tf.Graph().as_default():
        tf.compat.v1.set_random_seed(5)
        tf.compat.v1.train.create_global_step()
        module = load_object(_named("model_fn"))
        features, labels = load_object(_named("examples"))()
        params = load_object(_named("params"))()
        constants = {name: tf.constant(value) for name, value in features.items()}
        with pytest.warns(UserWarning, match=r"tf.layers.dense"):
            spec = module(constants, tf.constant(labels), "train", params, RunConfig())
        saver = tf.compat.v1.train.Saver()
        with tf.compat.v1.Session() as session:
            session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
            saver.save(session, str(folder / "model.ckpt"), 0)
            for _ in range(60):
                session.run(spec.train_op)
            saver.save(session, str(folder / "model.ckpt"), 60)
    assert not hasattr(tf, "estimator")
    return folder


def _export(options, base):
    return export(options, base)


def _options(model_dir, name="model_fn", receiver=None, **changes):
    given = {"model_fn": _named(name), "checkpoint": model_dir, "params": _named("params")}
    return ExportOptions.model_validate({**given, "receiver": receiver or {"features": _FEATURES}, **changes})


def _expected(checkpoint, features):
    """Compute the scores from the checkpoint's own values."""
    import tensorflow as tf

    values = tf.train.load_checkpoint(str(checkpoint))
    words = [
        [word == "a", word == "b", word not in ("a", "b")] for word in (w.decode() for w in features["word"][:, 0])
    ]
    # input_layer puts the columns in the order of their names: word_indicator, x.
    inputs = np.concatenate([np.array(words, np.float32), features["x"]], axis=1)
    hidden = np.maximum(inputs @ values.get_tensor("hidden/kernel") + values.get_tensor("hidden/bias"), 0)
    exponents = np.exp(hidden @ values.get_tensor("logits/kernel") + values.get_tensor("logits/bias"))
    return exponents / exponents.sum(axis=1, keepdims=True)


def _serialized(features):
    examples = []
    for x, word in zip(features["x"], features["word"], strict=True):
        example = example_pb2.Example()
        example.features.feature["x"].float_list.value.extend(x)
        example.features.feature["word"].bytes_list.value.extend(word)
        examples.append(example.SerializeToString())
    return np.array(examples, dtype=object)


def _ask(exported, signature, feeds):
    """Ask through the v1 loader, as servers load."""
    import tensorflow as tf

    inputs, outputs = exported.signatures[signature].inputs, exported.signatures[signature].outputs
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(exported.path))
        return session.run(
            {alias: info.name for alias, info in outputs.items()},
            {inputs[alias].name: value for alias, value in feeds.items()},
        )


def test_every_signature_answers_as_the_checkpoint_says(model_dir, tmp_path):
    exported = _export(_options(model_dir, receiver={"features": _FEATURES, "kind": "both"}), tmp_path)
    assert {name: signature.method_name.rpartition("/")[2] for name, signature in exported.signatures.items()} == {
        "serving_default": "predict",
        "raw:serving_default": "predict",
        "classify": "classify",
        "regress": "regress",
    }
    features, labels = load_object(_named("examples"))()
    expected = _expected(model_dir / "model.ckpt-60", features)
    assert (expected.argmax(axis=1) == labels).mean() > 0.8, "the model has learned something"
    examples = _serialized(features)
    predicted = _ask(exported, "serving_default", {"examples": examples})
    np.testing.assert_allclose(predicted["scores"], expected, atol=1e-5)
    assert predicted["class_id"].tolist() == expected.argmax(axis=1).tolist()
    np.testing.assert_allclose(_ask(exported, "raw:serving_default", features)["scores"], expected, atol=1e-5)
    classified = _ask(exported, "classify", {"inputs": examples})
    np.testing.assert_allclose(classified["scores"], expected, atol=1e-5)
    assert classified["classes"][0].tolist() == [b"low", b"middle", b"high"]
    np.testing.assert_allclose(_ask(exported, "regress", {"inputs": examples})["outputs"], expected[:, :1], atol=1e-5)


def test_one_checkpoint_of_a_folder_feature_columns_and_the_loader_of_tensorflow_2(model_dir, tmp_path):
    import tensorflow as tf

    columns = {"feature_columns": _named("columns"), "kind": "parsing"}
    exported = _export(_options(model_dir / "model.ckpt-0", receiver=columns), tmp_path)
    features, _ = load_object(_named("examples"))()
    loaded = tf.saved_model.load(str(exported.path))
    answered = loaded.signatures["serving_default"](tf.constant(_serialized(features)))
    expected = _expected(model_dir / "model.ckpt-0", features)
    np.testing.assert_allclose(answered["scores"].numpy(), expected, atol=1e-5)


def test_only_the_signatures_that_are_kept_are_published(model_dir, tmp_path):
    exported = _export(_options(model_dir, keep_signatures=["regress"]), tmp_path)
    assert list(exported.signatures) == ["regress"]


def test_declared_signatures_stand_around_those_of_the_model_fn(model_dir, tmp_path):
    renamed = {"inputs": {"serialized": "examples"}, "outputs": {"probabilities": "scores"}}
    exported = _export(_options(model_dir, signatures={"renamed": renamed}, keep_signatures=["classify"]), tmp_path)
    assert {name: signature.method_name.rpartition("/")[2] for name, signature in exported.signatures.items()} == {
        "classify": "classify",
        "renamed": "predict",
    }
    features, _ = load_object(_named("examples"))()
    answered = _ask(exported, "renamed", {"serialized": _serialized(features)})
    expected = _expected(model_dir / "model.ckpt-60", features)
    assert list(answered) == ["probabilities"]
    np.testing.assert_allclose(answered["probabilities"], expected, atol=1e-5)


def test_a_model_fn_that_has_predictions_only_gives_one_signature(model_dir, tmp_path):
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        with tf.compat.v1.variable_scope("other"):
            tf.compat.v1.get_variable("kernel", initializer=tf.ones([2, 3]))
            tf.compat.v1.get_variable("bias", initializer=tf.zeros([3]))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "ckpt" / "model"), write_state=False)
    raw = {"features": {"x": {"shape": [2]}}, "kind": "raw"}
    exported = _export(_options(tmp_path / "ckpt" / "model", "predictions_only", raw), tmp_path / "m")
    answered = _ask(exported, "serving_default", {"x": np.array([[1.0, 2.0]], np.float32)})
    assert answered["output"].tolist() == [[3.0, 3.0, 3.0]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "failing"}, "failing` failed: KeyError: 'no such feature'"),
        ({"name": "without_predictions"}, "returns neither predictions nor export_outputs in mode PREDICT"),
        ({"name": "no_spec"}, r"returns a \w*Tensor, not a tf.estimator.EstimatorSpec"),
        ({"name": "missing"}, "has no `missing`"),
        ({"name": "canned"}, "tf.estimator.LinearClassifier needs TensorFlow 2.15"),
        ({"name": "predictions_only"}, r"model.ckpt-60` has no values for `other/bias`, `other/kernel` "),
        ({"params": _named("CLASSES")}, "gives a list, not a dictionary of params"),
        ({"name": "classifier_only", "receiver": {"features": _FEATURES, "kind": "raw"}}, "no signature that can be"),
        (
            {"receiver": {"features": {**_FEATURES, "x": {"shape": [3]}}}},
            "could not run signature .*input_layer/x/Resh",
        ),
        ({"receiver": {"features": {**_FEATURES, "wrod": {}}}}, "the model does not read the feature `wrod`"),
        ({"receiver": {"features": {"x": _FEATURES["x"]}}}, "Feature word is not in features dictionary"),
        ({"receiver": {"features": {**_FEATURES, "x": {"dtype": "string", "shape": [2]}}}}, "input_layer/x/Cast"),
        ({"receiver": {"feature_columns": _named("CLASSES")}}, "CLASSES` is no list of feature columns"),
        ({"receiver": {"feature_columns": _named("nothing")}}, "has no `nothing`"),
        (
            {"receiver": {"features": {"word": {"dtype": "string", "kind": "var_length"}}, "kind": "both"}},
            "feature `word` has no fixed length",
        ),
        ({"checkpoint": Path("nowhere")}, "there is no checkpoint `nowhere`"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_published(model_dir, tmp_path, changes, words):
    with pytest.raises(TfsError, match=words) as refused:
        _export(_options(model_dir, **changes), tmp_path / "m")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "m").exists()


def test_params_of_another_training_are_told_by_the_shapes(model_dir, tmp_path):
    import tensorflow as tf

    params = {"feature_columns": load_object(_named("columns"))(), "hidden": 5}
    with pytest.raises(TfsError, match=r"`hidden/\w+` is \(.*5,?\), in checkpoint .* \(.*4,?\) .*--params"):
        _export(_options(model_dir, params=params), tmp_path / "m")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TfsError, match=r"there is no checkpoint in .*empty`"):
        _export(_options(tmp_path / "empty"), tmp_path / "m")
    assert not (tmp_path / "m").exists()
    assert not hasattr(tf, "estimator"), "the names are gone again"


def test_a_canned_estimator_tells_which_tensorflow_has_it(tmp_path):
    made = tmp_path / "made.py"
    made.write_text("import tensorflow as tf\ndef estimator():\n    return tf.estimator.LinearRegressor([])\n")
    with pytest.raises(TfsError, match=r"has no attribute 'estimator' .*tensorflow==2.15.\*") as refused:
        _export(ExportOptions(source=f"{made}:estimator"), tmp_path / "m")
    assert "\n" not in str(refused.value)


def test_layers_that_keras_3_has_not_say_which_package_has_them():
    refused = AttributeError("`dense` is not available with Keras 3.")  # as tf.compat.v1.layers says
    assert hint_for(refused).startswith("pip install tf_keras")
    assert hint_for(ValueError(*refused.args)) == "tfs --debug shows where"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"receiver": None}, "model_fn` does not say what its features are"),
        ({"checkpoint": None}, "model_fn` needs the checkpoint of its training"),
        ({"params": "{hidden: ["}, "is no YAML"),
    ],
)
def test_what_a_model_fn_needs_is_wrong_usage_without_it(model_dir, tmp_path, changes, words):
    whole = _options(model_dir).model_dump(exclude_unset=True)
    with pytest.raises(UsageError, match=words):
        _export(ExportOptions.model_validate({**whole, **changes}), tmp_path / "m")
    assert not (tmp_path / "m").exists()
