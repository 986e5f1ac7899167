import logging

import pytest

from tfs.exporters.checking import check_servable
from tfs.savedmodel.errors import TfsError


def test_a_keras_model_that_was_saved_twice_over_is_refused(tmp_path):
    import keras
    import tensorflow as tf

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
    tf.saved_model.save(model, str(tmp_path / "1"))
    with pytest.raises(TfsError, match=r"could not restore 2 variables .* `sequential\w*/dense/bias`"):
        check_servable(tmp_path / "1")


def _save(function, path, **variables):
    import tensorflow as tf

    module = tf.Module()
    for name, value in variables.items():
        setattr(module, name, value)
    module.serve = function
    tf.saved_model.save(module, str(path), signatures={"serving_default": function})


def test_lost_weights_are_refused(tmp_path):
    import tensorflow as tf

    weight = tf.Variable([2.0])
    spec = tf.TensorSpec([None], tf.float32, name="x")
    _save(tf.function(lambda x: {"y": x * weight}, input_signature=[spec]), tmp_path / "1", weight=weight)
    check_servable(tmp_path / "1")
    (tmp_path / "1" / "variables" / "variables.index").unlink()
    with pytest.raises(TfsError, match="could not load the exported model"):
        check_servable(tmp_path / "1")


def test_a_signature_that_refuses_generated_values_is_accepted_with_a_warning(tmp_path, caplog):
    import tensorflow as tf

    spec = tf.TensorSpec([None], tf.string, name="jpeg")
    decode = tf.function(
        lambda jpeg: {
            "size": tf.map_fn(lambda one: tf.size(tf.io.decode_jpeg(one)), jpeg, fn_output_signature=tf.int32)
        },
        input_signature=[spec],
    )
    _save(decode, tmp_path / "1")
    with caplog.at_level(logging.WARNING):
        check_servable(tmp_path / "1")
    assert "serving_default does not run on generated inputs" in caplog.text
