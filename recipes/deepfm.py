"""DeepFM with the fields of a click log: 13 counts and 26 categories, 100,000 embeddings, three layers of 400.

prob = sigmoid(sum_i w_i + 1/2 sum_k ((sum_i v_ik)^2 - sum_i v_ik^2) + mlp(v)), with w_i and v_i those of field i.
The weights are those of the seed: untrained, but of the size and speed of a trained model.
"""

import math
from typing import Any

import numpy as np

__all__ = [
    "BUCKETS",
    "CATEGORIES",
    "CATEGORY_SIZE",
    "COUNTS",
    "both_classes",
    "category_offsets",
    "ids",
    "model",
]

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
    ids = keras.Input((FIELDS,), name="ids", dtype="int64")
    vectors = layers.Embedding(EMBEDDINGS, WIDTH)(ids)
    total = ops.sum(vectors, axis=1)
    pairs = 0.5 * ops.sum(total * total - ops.sum(vectors * vectors, axis=1), axis=1, keepdims=True)
    x = layers.Reshape((FIELDS * WIDTH,))(vectors)
    for _ in range(3):
        x = layers.Dense(HIDDEN, activation="relu")(x)
    linear = ops.sum(layers.Embedding(EMBEDDINGS, 1)(ids), axis=1)
    return keras.Model(ids, {"prob": ops.sigmoid(linear + pairs + layers.Dense(1)(x))})


def ids(features: dict[str, Any]) -> dict[str, Any]:
    """Turn the features of examples, count_0 ... and category_0 ..., each [n], into the ids of their embeddings."""
    import tensorflow as tf

    counts = tf.stack([features[f"count_{i}"] for i in range(COUNTS)], axis=1)
    buckets = tf.cast(tf.math.log(1 + counts) / math.log(2), tf.int64) + np.arange(COUNTS) * BUCKETS
    categories = tf.stack([features[f"category_{i}"] for i in range(CATEGORIES)], axis=1) + category_offsets()
    return {"ids": tf.concat([buckets, categories], axis=1)}


def both_classes(outputs: dict[str, Any]) -> dict[str, Any]:
    """Turn the probability of a click into the scores of both classes, [n, 2]."""
    import tensorflow as tf

    return {"scores": tf.concat([1 - outputs["prob"], outputs["prob"]], axis=1)}


def category_offsets() -> np.ndarray:
    """Return the first id of each category, int64 [26]."""
    return COUNTS * BUCKETS + np.arange(CATEGORIES) * CATEGORY_SIZE
