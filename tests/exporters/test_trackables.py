"""Modules with tf.functions, and layers."""

from pathlib import Path

import numpy as np
import pytest
from serving import answers, exported, numbers

from tfs.exporters.sources.python_objects import load_object
from tfs.savedmodel.errors import TfsError

_SOURCES = Path(__file__).parent / "trackables.py"


def _make(name):
    return load_object(f"{_SOURCES}:{name}")()


def test_functions_go_by_their_names_and_call_is_the_default(tmp_path):
    done = exported(f"{_SOURCES}:Several", tmp_path, signatures={"words": f"{_SOURCES}:with_table"})
    assert list(done.signatures) == ["pair", "serving_default", "twice", "words"]
    x, module = numbers(4, 3), _make("Several")
    expected = module(x)["y"]
    np.testing.assert_allclose(answers(done.path, {"x": x})["y"], expected, rtol=1e-5)
    np.testing.assert_allclose(answers(done.path, {"x": x}, "twice")["y"], 2 * expected, rtol=1e-5)
    assert set(done.signatures["pair"].outputs) == {"output_0", "output_1"}
    assert answers(done.path, {"word": np.array([b"a", b"b"], object)}, "words")["value"].tolist() == [2.0, 1.0]


def test_keras_below_a_module_is_written_once(tmp_path):
    import tensorflow as tf

    done = exported(f"{_SOURCES}:AroundKeras", tmp_path)
    x, module = numbers(4, 3), _make("AroundKeras")
    np.testing.assert_allclose(answers(done.path, {"x": x})["y"], module.serve(x)["y"], rtol=1e-5)
    stored = tf.train.list_variables(str(done.path / "variables" / "variables"))
    assert sorted(shape for _, shape in stored if shape) == [[2], [3, 2]]


def test_a_layer_is_called_as_described(tmp_path):
    done = exported(f"{_SOURCES}:layer", tmp_path, inputs={"x": "float32[?,3]"})
    x = numbers(4, 3)
    np.testing.assert_allclose(answers(done.path, {"x": x})["output_0"], _make("layer")(x), rtol=1e-5)


def test_a_checkpoint_of_a_module(tmp_path):
    import tensorflow as tf

    trained = _make("Several")
    trained.weight.assign(numbers(3, 2))
    weights = tf.train.Checkpoint(model=trained, step=tf.Variable(1)).write(str(tmp_path / "trained"))
    done = exported(f"{_SOURCES}:Several", tmp_path / "m", weights=weights)
    x = numbers(4, 3)
    np.testing.assert_allclose(answers(done.path, {"x": x})["y"], trained(x)["y"], rtol=1e-5)


def test_a_checkpoint_of_another_module_names_the_variables(tmp_path):
    import tensorflow as tf

    other = tf.Module()
    other.bias = tf.Variable([1.0, 2.0])
    weights = tf.train.Checkpoint(other).write(str(tmp_path / "other"))
    words = r"other` does not match the model: it has no values for 1 of 2 variables, as `weight`"
    with pytest.raises(TfsError, match=words):
        exported(f"{_SOURCES}:Several", tmp_path / "m", weights=weights)
    other.weight = tf.Variable(tf.ones([5, 2]))
    weights = tf.train.Checkpoint(other).write(str(tmp_path / "larger"))
    with pytest.raises(TfsError, match=r"`weight` has the shape \[5, 2\] in the checkpoint and \[3, 2\] here"):
        exported(f"{_SOURCES}:Several", tmp_path / "m", weights=weights)
    assert not (tmp_path / "m").exists()
