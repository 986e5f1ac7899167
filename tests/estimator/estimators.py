"""Small Estimators of each kind, as users define them: `trained(name)` trains the one that `name()` makes."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from custom_estimator import examples as custom_examples
from custom_estimator import model_fn, params

_RANDOM = np.random.default_rng(11)
_COUNT = 64
_WORDS = np.array([b"red", b"green", b"blue"], dtype=object)


def _directory(name):
    return str(Path(os.environ["TFS_TEST_MODEL_DIRS"]) / name)


def _settings():
    return tf.estimator.RunConfig(tf_random_seed=1, log_step_count_steps=None)


def numbers():
    return [tf.feature_column.numeric_column(name) for name in ("length", "width")]


def words():
    """Return columns of a fixed word, of any number of words and of two numbers."""
    vocabulary = ["red", "green", "blue"]
    color = tf.feature_column.categorical_column_with_vocabulary_list("color", vocabulary, num_oov_buckets=1)
    tags = tf.feature_column.categorical_column_with_hash_bucket("tags", 8)
    return [color, tf.feature_column.embedding_column(tags, 2), tf.feature_column.numeric_column("size", (2,))]


def classifier():
    return tf.estimator.DNNClassifier(
        [8],
        numbers(),
        n_classes=3,
        label_vocabulary=["small", "middle", "large"],
        model_dir=_directory("classifier"),
        config=_settings(),
    )


def regressor():
    color, _, size = words()
    return tf.estimator.LinearRegressor([color, size], model_dir=_directory("regressor"), config=_settings())


def combined():
    color, tags, size = words()
    return tf.estimator.DNNLinearCombinedClassifier(
        linear_feature_columns=[color],
        dnn_feature_columns=[tags, size],
        dnn_hidden_units=[4],
        model_dir=_directory("combined"),
        config=_settings(),
    )


def from_keras():
    model = tf.keras.Sequential([tf.keras.Input((2,), name="size"), tf.keras.layers.Dense(2, name="scores")])
    model.compile("sgd", "mse")
    return tf.keras.estimator.model_to_estimator(model, model_dir=_directory("from_keras"), config=_settings())


def custom():
    return tf.estimator.Estimator(model_fn, _directory("custom"), _settings(), params())


def untrained():
    return tf.estimator.LinearRegressor(numbers(), model_dir=_directory("untrained"))


def data(name):
    """Return features and labels of an Estimator, 64 of each."""
    size = _RANDOM.random((_COUNT, 2), dtype=np.float32)
    level = (size.sum(axis=1) // 0.67).astype(np.int64)
    if name == "classifier":
        return {"length": size[:, 0], "width": size[:, 1]}, np.array([b"small", b"middle", b"large"], object)[level]
    if name == "from_keras":
        return {"size": size}, size
    if name == "custom":
        return custom_examples()
    features = {"size": size, "color": _WORDS[level][:, None]}
    if name == "regressor":
        return features, size.sum(axis=1)
    return {**features, "tags": np.stack([_WORDS[level], _WORDS[::-1][level]], axis=1)}, (level > 0).astype(np.int64)


def input_fn(features, labels=None):
    """Return the data that an input function gives: batches of 16 features, with labels to train on."""
    whole = tf.data.Dataset.from_tensor_slices(features if labels is None else (features, labels))
    return whole.batch(16) if labels is None else whole.repeat().batch(16)


def trained(name):
    """Train an Estimator for 20 steps and return it."""
    estimator = globals()[name]()
    features, labels = data(name)
    return estimator.train(lambda: input_fn(features, labels), steps=20)
