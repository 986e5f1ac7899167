"""Models that exist in Keras 3 and, the same, in Keras 2; `models(keras)` makes them of one package."""

import tensorflow as tf


def functional(keras):
    """A dictionary of inputs to a dictionary of outputs, with a nested model."""
    keras.utils.set_random_seed(2)
    inner_in = keras.Input((3,), name="inner")
    inner = keras.Model(inner_in, keras.layers.Dense(4, activation="relu")(inner_in), name="tower")
    price, item = keras.Input((3,), name="price"), keras.Input((2,), name="item", dtype="int32")
    vectors = keras.layers.Embedding(5, 2)(item)
    return keras.Model({"price": price, "item": item}, {"sum": keras.layers.Dense(2)(inner(price)), "vector": vectors})


def listed(keras):
    """Two inputs and a list of two outputs, named after their layers."""
    keras.utils.set_random_seed(3)
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    both = keras.layers.Concatenate()([left, right])
    return keras.Model([left, right], [keras.layers.Dense(2, name="a")(both), keras.layers.Dense(1, name="b")(both)])


def sequential(keras):
    keras.utils.set_random_seed(4)
    normalized = keras.layers.BatchNormalization(moving_mean_initializer="ones")
    layers = [keras.layers.Dense(4), normalized, keras.layers.Dropout(0.5), keras.layers.Dense(2, name="scores")]
    return keras.Sequential([keras.Input((3,), name="x"), *layers])


def classes(keras):
    """Return subclassed models, which do not say what they are called with."""

    class Alone(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)
            self.dropout = keras.layers.Dropout(0.5)

        def call(self, x, training=False):
            return self.dropout(self.dense(x), training=training)

    class ByName(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, inputs):
            return {"sum": self.dense(inputs["a"]) + self.dense(inputs["b"]), "a": inputs["a"]}

    class Listed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, inputs):
            a, b = inputs
            return [self.dense(a), self.dense(tf.cast(b, tf.float32))]

    class Arguments(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, a, b=None, training=None):
            return self.dense(a) - self.dense(b)

    return {"Alone": Alone, "ByName": ByName, "Listed": Listed, "Arguments": Arguments}
