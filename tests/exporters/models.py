"""Keras models and signature functions that the export tests name as `models.py:object`."""

import keras
import tensorflow as tf


def digits():
    """Images of 8 x 8 to ten scores, with a batch normalisation."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="images"),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", name="scores"),
        ]
    )


def scores_and_classes(model):
    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, name="images")])
    def serve(images):
        scores = model(images, training=False)
        return {"scores": scores, "classes": tf.argmax(scores, axis=-1)}

    return serve


def concrete(model):
    @tf.function
    def serve(images):
        return {"doubled": 2.0 * model(images, training=False)}

    return serve.get_concrete_function(tf.TensorSpec([None, 8, 8, 1], tf.float32, name="images"))


def without_input_signature(model):
    return tf.function(model)


def no_function(model):
    return model.count_params()


def failing(model):
    raise KeyError("no such layer")


def two_inputs():
    """Inputs and outputs that are dictionaries."""
    keras.utils.set_random_seed(2)
    price = keras.Input((3,), name="price")
    item = keras.Input((2,), name="item", dtype="int32")
    inputs = {"price": price, "item": item}
    return keras.Model(inputs, {"sum": keras.layers.Dense(2)(price), "vector": keras.layers.Embedding(3, 2)(item)})


def listed():
    """A list of outputs, named after their layers."""
    x = keras.Input((3,), name="x")
    return keras.Model(x, [keras.layers.Dense(2, name="left")(x), keras.layers.Dense(1, name="right")(x)])


def text():
    """Strings through a vocabulary table."""
    keras.utils.set_random_seed(3)
    words = keras.Input((1,), name="text", dtype="string")
    ids = keras.layers.TextVectorization(vocabulary=["the", "movie"], output_sequence_length=4)(words)
    vectors = keras.layers.Embedding(5, 3)(ids)
    return keras.Model(words, keras.layers.Dense(1, name="score")(keras.layers.GlobalAveragePooling1D()(vectors)))


@keras.saving.register_keras_serializable("tests")
class CountryCode(keras.layers.Layer):
    """A layer with a table of its own."""

    def __init__(self):
        super().__init__()
        initializer = tf.lookup.KeyValueTensorInitializer(["no", "de"], [47.0, 49.0])
        self.table = tf.lookup.StaticHashTable(initializer, default_value=0.0)

    def call(self, country):
        return self.table.lookup(country)


def own_table():
    """A table that belongs to a custom layer."""
    country = keras.Input((1,), name="country", dtype="string")
    return keras.Model(country, keras.layers.Dense(1, name="code", kernel_initializer="ones")(CountryCode()(country)))


def recurrent():
    """Sequences of any length."""
    return keras.Sequential(
        [keras.Input((None, 4), name="steps"), keras.layers.GRU(3), keras.layers.Dense(2, name="y")]
    )


class Subclassed(keras.Model):
    """A model that does not know its inputs before it is called."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def serve_subclassed(model):
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def serve(x):
        return {"y": model(x)}

    return serve


def factory_that_fails():
    raise RuntimeError("no weights here")


not_a_model = 42


class Scaler(tf.Module):
    """A function with an input_signature, one without, and a table that the first uses."""

    def __init__(self):
        super().__init__()
        self.factor = tf.Variable([2.0, 3.0])
        initializer = tf.lookup.KeyValueTensorInitializer(["g", "kg"], [1.0, 1000.0])
        self.units = tf.lookup.StaticHashTable(initializer, default_value=0.0)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, name="x"),
            tf.TensorSpec([None, 1], tf.string, name="unit"),
        ]
    )
    def scale(self, x, unit):
        return {"y": x * self.factor * self.units.lookup(unit)}

    @tf.function
    def untraced(self, x):
        return x


silent = tf.Module()
