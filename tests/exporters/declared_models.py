"""Models and processing functions that the tests of declared signatures name as `declared_models.py:object`."""

import keras
import tensorflow as tf


def guests():
    """Age, float32 [n, 1], and three cities, int32 [n, 3], to the scores of three classes."""
    keras.utils.set_random_seed(4)
    age, cities = keras.Input((1,), name="age"), keras.Input((3,), name="cities", dtype="int32")
    rows = keras.layers.Flatten()(keras.layers.Embedding(40, 2)(cities))
    both = keras.layers.Concatenate()([age, rows])
    scores = keras.layers.Dense(3, activation="softmax")(both)
    return keras.Model({"age": age, "cities": cities}, {"scores": scores, "price": keras.layers.Dense(1)(both)})


def half_age(values):
    return {**values, "age": values["age"] / 2}


def no_dictionary(values):
    return values["age"]


class Cities(tf.Module):
    """The numbers of cities, by a table of its own."""

    def __init__(self):
        super().__init__()
        initializer = tf.lookup.KeyValueTensorInitializer(["Oslo", "Graz"], [7, 8], value_dtype=tf.int32)
        self.table = tf.lookup.StaticHashTable(initializer, default_value=0)

    def __call__(self, values):
        return {**values, "cities": self.table.lookup(values["names"])}


def doubled(model):
    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="age")])
    def serve(age):
        return {"twice": 2 * model({"age": age, "cities": tf.ones([tf.shape(age)[0], 3], tf.int32)})["price"]}

    return serve


def with_python_arguments(model):
    """A function that was traced with Python values among its arguments: in place, by keyword, by default."""

    @tf.function
    def serve(guest, factor, *, flag, halve=len):
        price = factor * model({"age": guest["age"], "cities": guest["cities"]})["price"]
        return [price, price if flag else -price, tf.constant([[float(halve("ab"))]])]

    age, cities = tf.TensorSpec([None, 1], tf.float32, "age"), tf.TensorSpec([None, 3], tf.int32, "cities")
    return serve.get_concrete_function({"age": age, "cities": cities}, 3.0, flag=False)


def ragged(model):
    return tf.function(lambda x: {"n": x.row_lengths()}, input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
