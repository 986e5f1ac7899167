"""DeepFM with the fields of a click log: 13 counts and 26 categories, 100,000 embeddings, three layers of 400.

prob = sigmoid(sum_i w_i + 1/2 sum_k ((sum_i v_ik)^2 - sum_i v_ik^2) + mlp(v)), with w_i and v_i those of field i.
"""

import math
from typing import Any

import numpy as np

__all__ = ["examples", "examples_rows", "ids", "ids_rows", "model"]

SEED = 20261120
COUNTS, CATEGORIES = 13, 26
FIELDS = COUNTS + CATEGORIES
EMBEDDINGS, WIDTH, HIDDEN = 100_000, 10, 400
BUCKETS = 32  # of a count: the power of two that it is below
CATEGORY_SIZE = (EMBEDDINGS - COUNTS * BUCKETS) // CATEGORIES


def model() -> Any:
    """Return the network: ids, int64 [n, 39] -> prob, float32 [n, 1]."""
    import keras
    from keras import layers, ops

    keras.utils.set_random_seed(SEED)

    class DeepFM(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.vectors, self.weights_of_ids = layers.Embedding(EMBEDDINGS, WIDTH), layers.Embedding(EMBEDDINGS, 1)
            self.hidden = [layers.Dense(HIDDEN, activation="relu") for _ in range(3)]
            self.last = layers.Dense(1)

        def call(self, ids: Any) -> Any:
            vectors = self.vectors(ids)
            total = ops.sum(vectors, axis=1)
            pairs = 0.5 * ops.sum(total * total - ops.sum(vectors * vectors, axis=1), axis=1, keepdims=True)
            x = ops.reshape(vectors, [-1, FIELDS * WIDTH])
            for layer in self.hidden:
                x = layer(x)
            return ops.sigmoid(ops.sum(self.weights_of_ids(ids), axis=1) + pairs + self.last(x))

    network = DeepFM()
    network(np.zeros([1, FIELDS], np.int64))
    return network


def ids(model: Any) -> Any:
    """Return the signature that takes ids."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, FIELDS], tf.int64, name="ids")])
    def serving_default(ids: Any) -> dict[str, Any]:
        return {"prob": model(ids)}

    return serving_default


def examples(model: Any) -> Any:
    """Return the signature that takes serialized `tf.Example`s with the features count_0 ... and category_0 ..."""
    import tensorflow as tf

    counts = {name: tf.io.FixedLenFeature([], tf.float32) for name in _names("count", COUNTS)}
    categories = {name: tf.io.FixedLenFeature([], tf.int64) for name in _names("category", CATEGORIES)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(examples: Any) -> dict[str, Any]:
        features = tf.io.parse_example(examples, counts | categories)
        number = tf.stack([features[name] for name in counts], axis=1)
        bucket = tf.cast(tf.math.log(1 + number) / math.log(2), tf.int64) + np.arange(COUNTS) * BUCKETS
        category = tf.stack([features[name] for name in categories], axis=1) + _category_offsets()
        return {"prob": model(tf.concat([bucket, category], axis=1))}

    return serving_default


def ids_rows(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return ids, int64 [count, 39]."""
    buckets = generator.integers(0, 20, [count, COUNTS]) + np.arange(COUNTS) * BUCKETS
    categories = generator.integers(0, CATEGORY_SIZE, [count, CATEGORIES]) + _category_offsets()
    return {"ids": np.concatenate([buckets, categories], axis=1)}


def examples_rows(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return serialized examples, string [count]."""
    from tensorflow.core.example.example_pb2 import Example

    def example() -> bytes:
        features = Example()
        for name, number in zip(_names("count", COUNTS), generator.exponential(1000, COUNTS), strict=True):
            features.features.feature[name].float_list.value.append(number)
        values = generator.integers(0, CATEGORY_SIZE, CATEGORIES)
        for name, value in zip(_names("category", CATEGORIES), values, strict=True):
            features.features.feature[name].int64_list.value.append(value)
        return bytes(features.SerializeToString(deterministic=True))

    return {"examples": np.array([example() for _ in range(count)], dtype=object)}


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind}_{i}" for i in range(count)]


def _category_offsets() -> np.ndarray:
    return COUNTS * BUCKETS + np.arange(CATEGORIES) * CATEGORY_SIZE
