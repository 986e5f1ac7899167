"""Modules that the tests name as `trackables.py:Name`."""

import keras
import tensorflow as tf

_SPEC = [tf.TensorSpec([None, 3], tf.float32, name="x")]


class Several(tf.Module):
    """`__call__` and two further functions; a property that nobody may compute."""

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(tf.ones([3, 2]), name="weight")
        self.bias = tf.Variable([1.0, 2.0], name="bias")

    @tf.function(input_signature=_SPEC)
    def __call__(self, x):
        return {"y": tf.linalg.matmul(x, self.weight) + self.bias}

    @tf.function(input_signature=_SPEC)
    def twice(self, x):
        return {"y": 2.0 * self(x)["y"]}

    @tf.function(input_signature=_SPEC)
    def pair(self, x):
        return self(x)["y"], x

    @property
    def expensive(self):
        raise RuntimeError("computed")


class AroundKeras(tf.Module):
    """A Keras 3 layer below a module: tf.saved_model.save would write its variables twice."""

    def __init__(self):
        super().__init__()
        keras.utils.set_random_seed(6)
        self.dense = keras.layers.Dense(2, bias_initializer="ones")
        self.dense.build([None, 3])

    @tf.function(input_signature=_SPEC)
    def serve(self, x):
        return {"y": self.dense(x)}


def layer():
    """A layer, not a model."""
    keras.utils.set_random_seed(7)
    return keras.layers.Dense(2)


def with_table(model):
    """A function with a table that is no part of the model."""
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1.0]), 0.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word")])
    def serve(word):
        return {"value": table.lookup(word) + model.bias[0]}

    return serve
