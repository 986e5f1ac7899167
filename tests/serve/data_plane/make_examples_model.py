"""Run in a process of its own: write a SavedModel whose signatures read tf.Examples.

Usage: make_examples_model.py FOLDER
"""

import sys

import tensorflow as tf

FEATURES = {"x": tf.io.FixedLenFeature([2], tf.float32)}
NAMES = {"serving_default": "classify", "classify": "classify", "regress": "regress"}


def reading(body, name="inputs"):
    def call(serialized):
        return body(tf.io.parse_example(serialized, FEATURES)["x"])

    return tf.function(call, input_signature=[tf.TensorSpec([None], tf.string, name)])


def labels(x):
    return tf.tile([["low", "high"]], [tf.shape(x)[0], 1])


SIGNATURES = {
    "serving_default": reading(lambda x: {"scores": tf.nn.softmax(x), "classes": labels(x)}),
    "classify": reading(lambda x: {"scores": x, "classes": labels(x)}),
    "scores_only": reading(lambda x: {"scores": x}),
    "regress": reading(lambda x: {"outputs": tf.reduce_sum(x, -1)}),
    "regress_column": reading(lambda x: {"outputs": tf.reduce_sum(x, -1, keepdims=True)}),
    "other_input": reading(lambda x: {"scores": x}, name="examples"),
    "other_outputs": reading(lambda x: {"a": x, "b": x}),
    "three_outputs": reading(lambda x: {"a": x, "b": x, "scores": x}),
    "vector_scores": reading(lambda x: {"scores": tf.reduce_sum(x, -1)}),
    "short_scores": reading(lambda x: {"scores": x[:1]}),
    "double_scores": reading(lambda x: {"scores": tf.cast(x, tf.float64)}),
    "uneven": reading(lambda x: {"scores": x[:, :1], "classes": labels(x)}),
    "wide_regress": reading(lambda x: {"outputs": x}),
    "short_regress": reading(lambda x: {"outputs": x[:1, 0]}),
    "double_regress": reading(lambda x: {"outputs": tf.cast(x[:, 0], tf.float64)}),
}

module = tf.Module()
module.functions = list(SIGNATURES.values())
tf.saved_model.save(module, sys.argv[1], signatures=SIGNATURES)

from tensorflow.core.protobuf import saved_model_pb2  # noqa: E402  after TensorFlow, which it is part of

with open(sys.argv[1] + "/saved_model.pb", "rb") as file:
    saved_model = saved_model_pb2.SavedModel.FromString(file.read())
for name, method in NAMES.items():
    # As an Estimator writes it; tf.saved_model.save says `predict` everywhere.
    saved_model.meta_graphs[0].signature_def[name].method_name = f"tensorflow/serving/{method}"
with open(sys.argv[1] + "/saved_model.pb", "wb") as file:
    file.write(saved_model.SerializeToString())
