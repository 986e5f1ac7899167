"""Run in a process of its own: write a SavedModel whose answers tell how many rows were run together.

Usage: make_batching_model.py FOLDER
"""

import sys

import tensorflow as tf


def function(body, **specs):
    return tf.function(
        body, input_signature=[tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in specs.items()]
    )


def together(x):
    """The number of rows of the run, for each row."""
    return tf.fill([tf.shape(x)[0]], tf.shape(x)[0])


def checked(x):
    with tf.control_dependencies([tf.debugging.assert_non_negative(x, "a negative row")]):
        return {"y": tf.identity(x), "rows": together(x)}


def slow(x):
    """Counts to the largest x, one step at a time, about 3 us each."""
    return {"y": tf.while_loop(lambda y: tf.reduce_any(y < x), lambda y: [y + 1.0], [tf.zeros_like(x)])[0]}


seen = tf.Variable(0, dtype=tf.int64)


def tally(x):
    """Adds up what was ever sent, each row once."""
    with tf.control_dependencies([seen.assign_add(tf.reduce_sum(x))]):
        return {"y": tf.identity(x)}


SIGNATURES = {
    "serving_default": function(lambda x: {"y": 2.0 * x, "rows": together(x)}, x=([None], tf.float32)),
    "matrix": function(lambda x: {"y": tf.identity(x), "rows": together(x)}, x=(None, tf.float32)),
    "texts": function(lambda s: {"s": tf.strings.upper(s), "rows": together(s)}, s=([None], tf.string)),
    "pair": function(lambda a, b: {"y": a + b, "rows": together(a)}, a=(None, tf.float32), b=(None, tf.float32)),
    # Any shape of each.
    "types": function(
        lambda d, h, i, b, s: {"d": -d, "h": h + h, "i": i + 1, "b": ~b, "s": tf.strings.upper(s)},
        d=(None, tf.float64),
        h=(None, tf.float16),
        i=(None, tf.int64),
        b=(None, tf.bool),
        s=(None, tf.string),
    ),
    "tally": function(tally, x=([None], tf.int64)),
    "tallied": function(lambda x: {"y": x + seen}, x=([None], tf.int64)),
    "nothing": tf.function(lambda: {"y": tf.constant([7.0])}, input_signature=[]),
    "total": function(lambda x: {"y": tf.reduce_sum(x)}, x=([None], tf.float32)),
    "first": function(lambda x: {"y": x[:1]}, x=([None], tf.float32)),
    "all": function(lambda x: {"y": x, "all": tf.tile(x[None], [tf.shape(x)[0], 1])}, x=([None], tf.float32)),
    "checked": function(checked, x=([None], tf.float32)),
    "slow": function(slow, x=([None], tf.float32)),
    # The numbers of rows as scores and values; the examples themselves do not matter.
    "classify": function(
        lambda inputs: {"scores": tf.cast(together(inputs), tf.float32)[:, None]}, inputs=([None], tf.string)
    ),
    "regress": function(lambda inputs: {"outputs": tf.cast(together(inputs), tf.float32)}, inputs=([None], tf.string)),
}

module = tf.Module()
module.functions, module.seen = list(SIGNATURES.values()), seen
tf.saved_model.save(module, sys.argv[1], signatures=SIGNATURES)
