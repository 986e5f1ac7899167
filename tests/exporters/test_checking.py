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


def test_a_signature_that_cannot_be_computed_is_refused(tmp_path):
    import tensorflow as tf

    spec = tf.TensorSpec([None, 3], tf.float32, name="x")
    _save(tf.function(lambda x: {"y": tf.reshape(x, [-1, 4])}, input_signature=[spec]), tmp_path / "1")
    with pytest.raises(TfsError, match="could not run signature `serving_default`"):
        check_servable(tmp_path / "1")


def test_what_a_model_asserts_of_its_input_is_its_own_affair(tmp_path, caplog):
    import tensorflow as tf

    spec = tf.TensorSpec([None], tf.float32, name="x")

    def picky(x):
        with tf.control_dependencies([tf.debugging.assert_greater(x, 2.0)]):
            return {"y": tf.identity(x)}

    _save(tf.function(picky, input_signature=[spec]), tmp_path / "1")
    with caplog.at_level(logging.WARNING):
        check_servable(tmp_path / "1")
    assert "assertion failed" in caplog.text


def test_examples_without_what_a_signature_does_with_them_are_no_excuse(tmp_path):
    import tensorflow as tf

    features = {"x": tf.io.FixedLenFeature([3], tf.float32), "ids": tf.io.RaggedFeature(tf.int64)}

    def parse(inputs):
        parsed = tf.io.parse_example(inputs, features)
        return {"y": tf.reshape(parsed["x"], [-1, 4]), "n": parsed["ids"].row_lengths()}

    spec = tf.TensorSpec([None], tf.string, name="inputs")
    _save(tf.function(parse, input_signature=[spec]), tmp_path / "1")
    with pytest.raises(TfsError, match=r"could not run signature `serving_default`.*reshape"):
        check_servable(tmp_path / "1")


@pytest.mark.parametrize(
    ("method", "output", "shape", "problem"),
    [
        ("regress", "outputs", [-1, 3], "output `outputs` has shape [2, 3] for 2 examples"),
        ("classify", "scores", [-1], "output `scores` has shape [6] for 2 examples"),
    ],
)
def test_what_is_no_reply_of_its_method_is_refused(tmp_path, method, output, shape, problem):
    import tensorflow as tf

    def parse(inputs):
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([3], tf.float32)})["x"]
        return {output: tf.reshape(x, shape)}

    _save(tf.function(parse, input_signature=[tf.TensorSpec([None], tf.string, name="inputs")]), tmp_path / "1")
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(tmp_path / "1"))
    updater.replace_method_name("serving_default", f"tensorflow/serving/{method}")
    updater.save()
    with pytest.raises(TfsError) as refused:
        check_servable(tmp_path / "1")
    assert problem in str(refused.value)


def test_a_sample_takes_the_place_of_generated_values(tmp_path, caplog):
    import numpy as np
    import tensorflow as tf

    spec = tf.TensorSpec([None], tf.string, name="json")
    parse = tf.function(lambda json: {"x": tf.strings.to_number(json)}, input_signature=[spec])
    _save(parse, tmp_path / "1")
    with caplog.at_level(logging.WARNING):
        check_servable(tmp_path / "1", sample={"json": np.array([b"1.5", b"2"], object)})
    assert "does not run" not in caplog.text
    with pytest.raises(TfsError, match=r"could not run signature `serving_default`: .*not a number"):
        check_servable(tmp_path / "1", sample={"json": np.array([b"1.5", b"not a number"], object)})


def test_an_op_without_a_kernel_here_is_refused(tmp_path):
    import tensorflow as tf

    def on_gpus_only(text):
        size = tf.raw_ops.CudnnRNNParamsSize(num_layers=1, num_units=2, input_size=3, T=tf.float32, S=tf.int32)
        return {"text": text, "size": size}

    spec = tf.TensorSpec([None], tf.string, name="text")
    _save(tf.function(on_gpus_only, input_signature=[spec]), tmp_path / "1")
    with pytest.raises(TfsError, match=r"could not run signature `serving_default`: .*'CudnnRNNParamsSize'") as refused:
        check_servable(tmp_path / "1")
    assert "\n" not in str(refused.value)
