"""Keras 3 and Keras 2 models answer through the loader that servers use as they do in memory."""

import importlib
import json
from importlib.util import find_spec
from pathlib import Path

import keras_models
import numpy as np
import pytest
from serving import answers, exported, numbers

from tfs.savedmodel.errors import TfsError, UsageError

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"  # Keras 3.15 while it saves
)

_SOURCES = Path(__file__).parent / "of_keras.py"


@pytest.fixture(params=["keras", "tf_keras"] if find_spec("tf_keras") else ["keras"], scope="module")
def package(request):
    """The name of a Keras package; `keras` of TensorFlow 2.15, where these tests run too, is Keras 2."""
    return request.param


@pytest.fixture(scope="module")
def keras(package):
    return importlib.import_module(package)


def _close(outputs, expected):
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], np.asarray(value), rtol=1e-5, atol=1e-6)


def test_dictionaries_and_a_nested_model(keras, package, tmp_path):
    done = exported(f"{_SOURCES}:{package}_functional", tmp_path)
    inputs = {"price": numbers(4, 3), "item": np.array([[0, 1], [2, 3], [4, 0], [1, 1]], np.int32)}
    _close(answers(done.path, inputs), keras_models.functional(keras)(inputs, training=False))


def test_lists_go_by_the_names_of_layers(keras, package, tmp_path):
    done = exported(f"{_SOURCES}:{package}_listed", tmp_path)
    inputs = {"left": numbers(4, 3), "right": numbers(4, 2)}
    a, b = keras_models.listed(keras)([inputs["left"], inputs["right"]], training=False)
    _close(answers(done.path, inputs), {"a": a, "b": b})


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
def test_a_file_of_a_whole_model(keras, tmp_path, suffix):
    model = keras_models.sequential(keras)
    model.save(tmp_path / f"model{suffix}")
    done = exported(tmp_path / f"model{suffix}", tmp_path / "m")
    _close(answers(done.path, {"x": numbers(4, 3)}), {"scores": model(numbers(4, 3), training=False)})


@pytest.mark.parametrize(
    ("name", "inputs", "expected"),
    [
        ("Alone", {"x": "float32[?,3]"}, {"output_0": ["?", 2]}),
        ("ByName", {"a": "float32[?,3]", "b": "float32[?, 3]"}, {"a": ["?", 3], "sum": ["?", 2]}),
        ("Listed", {"a": "float32[?,3]", "b": "int64[?,3]"}, {"output_0": ["?", 2], "output_1": ["?", 2]}),
        ("Arguments", {"a": "float32[?,3]", "b": "float32[?,3]"}, {"output_0": ["?", 2]}),
    ],
)
def test_a_subclassed_model_is_called_as_described(package, tmp_path, name, inputs, expected):
    done = exported(f"{_SOURCES}:{package}_{name}", tmp_path, inputs=inputs)
    signature = done.signatures["serving_default"]
    assert {alias: ["?", *info.shape[1:]] for alias, info in signature.outputs.items()} == expected
    assert set(signature.inputs) == set(inputs)


@pytest.mark.parametrize("form", [".npz", ".json"])
def test_a_sample_says_what_a_subclassed_model_is_called_with(package, tmp_path, form):
    sample = tmp_path / f"sample{form}"
    if form == ".npz":
        np.savez(sample, a=numbers(4, 3), b=numbers(4, 3, seed=9))
    else:
        sample.write_text(json.dumps({"a": numbers(4, 3).tolist(), "b": numbers(4, 3, seed=9).tolist()}))
    done = exported(f"{_SOURCES}:{package}_ByName", tmp_path / "m", sample=sample)
    infos = done.signatures["serving_default"].inputs
    assert {alias: (info.dtype, info.shape) for alias, info in infos.items()} == {
        "a": ("float32", (None, 3)),
        "b": ("float32", (None, 3)),
    }


@pytest.fixture(scope="module")
def trained(keras):
    """A subclassed model with weights of its own."""
    model = keras_models.classes(keras)["Alone"]()
    model(numbers(1, 3))
    model.set_weights([numbers(3, 2, seed=20), numbers(2, seed=21)])
    return model


def _saved(model, folder, kind):
    import tensorflow as tf

    if kind == "save_weights":
        model.save_weights(folder / "trained.weights.h5")
        return str(folder / "trained.weights.h5")
    if kind == "checkpoint":
        return tf.train.Checkpoint(model).write(str(folder / "trained"))
    checkpoint = tf.train.Checkpoint(net=model, step=tf.Variable(3))
    tf.train.CheckpointManager(checkpoint, str(folder / "all"), max_to_keep=2).save()
    return str(folder / "all")


@pytest.mark.parametrize("kind", ["save_weights", "checkpoint", "folder of checkpoints"])
def test_weights_beside_the_code(package, trained, tmp_path, kind):
    weights = _saved(trained, tmp_path, kind)
    done = exported(f"{_SOURCES}:{package}_Alone", tmp_path / "m", weights=weights, inputs={"x": "float32[?,3]"})
    x = numbers(4, 3)
    _close(answers(done.path, {"x": x}), {"output_0": trained(x, training=False)})


@pytest.mark.parametrize("kind", ["save_weights", "checkpoint", "folder of checkpoints"])
def test_weights_of_other_shapes_name_the_variable(package, trained, tmp_path, kind):
    weights = _saved(trained, tmp_path, kind)
    with pytest.raises(TfsError, match=r"--weights .* does not match the model: .*kernel") as refused:
        exported(f"{_SOURCES}:{package}_Alone", tmp_path / "m", weights=weights, inputs={"x": "float32[?,5]"})
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("kind", ["save_weights", "checkpoint"])
def test_weights_of_another_model_name_what_is_missing(package, trained, tmp_path, kind):
    weights = _saved(trained, tmp_path, kind)
    with pytest.raises(TfsError, match=r"--weights .* does not match the model: .*/kernel") as refused:
        exported(f"{_SOURCES}:{package}_functional", tmp_path / "m", weights=weights)
    assert "\n" not in str(refused.value)


def test_a_model_that_was_never_built_says_how(package, tmp_path):
    with pytest.raises(TfsError, match=r"Alone model was never built .*--input NAME=DTYPE\[SHAPE\], --sample"):
        exported(f"{_SOURCES}:{package}_Alone", tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_inputs_that_the_model_does_not_take(package, tmp_path):
    with pytest.raises(TfsError, match=r"ByName model cannot be called with c=float32\[None, 3\]: "):
        exported(f"{_SOURCES}:{package}_ByName", tmp_path / "m", inputs={"c": "float32[?,3]"})


@pytest.mark.parametrize("text", ["float32", "floot32[?,3]", "float32[?,x]", "[?,3]", "float32[?,,3]"])
def test_an_input_that_is_none(tmp_path, text):
    with pytest.raises(UsageError, match=r"--input x=`.*` is no dtype with a shape \(as float32\[\?,4\]\)"):
        exported(f"{_SOURCES}:keras_Alone", tmp_path / "m", inputs={"x": text})


def test_a_file_that_holds_weights_only(trained, tmp_path):
    file = _saved(trained, tmp_path, "save_weights")
    with pytest.raises(TfsError, match=r"cannot be loaded: .*it holds weights only: .* --weights "):
        exported(file, tmp_path / "m")


@pytest.mark.parametrize("weights", ["none.h5", "none", "."])
def test_weights_that_are_not_there(tmp_path, monkeypatch, weights):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TfsError, match=r"--weights `none.h5` does not exist|there is no checkpoint (in )?`"):
        exported(f"{_SOURCES}:keras_sequential", tmp_path / "m", weights=weights)
