"""What somebody wrote for tf.estimator: a `model_fn`, its params and its data, unchanged since TensorFlow 1."""

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

CLASSES = ["low", "middle", "high"]


def columns():
    word = tf.feature_column.categorical_column_with_vocabulary_list("word", ["a", "b"], num_oov_buckets=1)
    return [tf.feature_column.numeric_column("x", shape=(2,)), tf.feature_column.indicator_column(word)]


def params():
    return {"feature_columns": columns(), "hidden": 4}


def _dense(inputs, units, name):
    with tf1.variable_scope(name):
        kernel = tf1.get_variable("kernel", [inputs.shape[-1], units])
        bias = tf1.get_variable("bias", [units], initializer=tf1.zeros_initializer())
    return tf.matmul(inputs, kernel) + bias


def model_fn(features, labels, mode, params, config) -> tf.estimator.EstimatorSpec:
    inputs = tf1.feature_column.input_layer(features, params["feature_columns"])
    hidden = tf1.layers.dense(inputs, params["hidden"], activation=tf.nn.relu, name="hidden")
    logits = tf1.layers.dense(hidden, len(CLASSES), name="logits")
    if mode == tf.estimator.ModeKeys.PREDICT:
        scores = tf.nn.softmax(logits)
        classes = tf.tile(tf.constant([CLASSES]), [tf.shape(scores)[0], 1])
        predictions = {"scores": scores, "class_id": tf.argmax(logits, axis=1)}
        outputs = {
            tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: tf.estimator.export.PredictOutput(predictions),
            "classify": tf1.estimator.export.ClassificationOutput(scores=scores, classes=classes),
            "regress": tf.estimator.export.RegressionOutput(scores[:, :1]),
        }
        return tf.estimator.EstimatorSpec(mode, predictions=predictions, export_outputs=outputs)
    loss = tf1.losses.sparse_softmax_cross_entropy(labels, logits)
    assert config.num_ps_replicas == 0
    train = tf1.train.AdagradOptimizer(0.5).minimize(loss, global_step=tf1.train.get_global_step())
    return tf.estimator.EstimatorSpec(mode=mode, loss=loss, train_op=train)


def examples():
    """Return features (x [64, 2], word [64, 1]) and labels [64]."""
    x = np.random.default_rng(3).random((64, 2), dtype=np.float32)
    words = np.where(x[:, :1] > 0.5, b"a", b"other").astype(object)
    return {"x": x, "word": words}, (x.sum(axis=1) // 0.67).astype(np.int64)


def failing(features, labels, mode):
    raise KeyError("no such feature")


def without_predictions(features, mode):
    return tf.estimator.EstimatorSpec(mode)


def no_spec(features):
    return features["x"]


def canned(features, mode):
    return tf.estimator.LinearClassifier(columns())


def predictions_only(features, mode):
    return tf.estimator.EstimatorSpec(mode, predictions=_dense(features["x"], 3, "other"))


def classifier_only(features, mode):
    scores = tf.nn.softmax(_dense(features["x"], 4, "hidden"))
    outputs = {"serving_default": tf.estimator.export.ClassificationOutput(scores=scores)}
    return tf.estimator.EstimatorSpec(mode, predictions=scores, export_outputs=outputs)
