"""Small SavedModels of many kinds, each written to the directory given."""

from pathlib import Path
from typing import Any

import numpy as np


def save_keras(model: Any, path: Path) -> None:
    """Export with batch norm statistics that are not the initial ones."""
    import keras

    for seed, layer in enumerate(model._flatten_layers()):
        if isinstance(layer, keras.layers.BatchNormalization):
            random = np.random.default_rng(seed)
            layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    model.export(str(path), verbose=False)


def cnn(path: Path) -> None:
    """Three convolutions (one depthwise) and a dense layer, each with a batch norm; `serve` and `serving_default`."""
    import keras

    keras.utils.set_random_seed(1)
    k = keras.layers
    layers = [
        k.Conv2D(8, 3, use_bias=False),
        k.BatchNormalization(),
        k.ReLU(),
        k.DepthwiseConv2D(3),
        k.BatchNormalization(axis=3),
        k.ReLU(),
        k.Conv2D(6, 1, dilation_rate=2),
        k.BatchNormalization(scale=False),
        k.ReLU(),
        k.Flatten(),
        k.Dense(16),
        k.BatchNormalization(center=False),
        k.Dense(10, activation="softmax"),
    ]
    save_keras(keras.Sequential([keras.Input((8, 8, 1)), *layers]), path)


def two_inputs(path: Path) -> None:
    """Two inputs through one backbone with a batch norm."""
    import keras

    keras.utils.set_random_seed(2)
    k = keras.layers
    backbone = keras.Sequential([keras.Input((6, 6, 2)), k.Conv2D(4, 3), k.BatchNormalization(), k.ReLU(), k.Flatten()])
    one, two = keras.Input((6, 6, 2), name="one"), keras.Input((6, 6, 2), name="two")
    save_keras(keras.Model([one, two], k.Dot(1)([backbone(one), backbone(two)])), path)


def lstm(path: Path) -> None:
    """An embedding, an LSTM and a GRU: Whiles whose bodies read variables, one behind the other."""
    import keras

    keras.utils.set_random_seed(3)
    k = keras.layers
    layers = [k.Embedding(8, 4), k.LSTM(5, return_sequences=True), k.GRU(4), k.Dense(3), k.BatchNormalization()]
    save_keras(keras.Sequential([keras.Input((6,), dtype="int32"), *layers]), path)


def written_by_save(path: Path) -> None:
    """A Keras 3 model as `tf.saved_model.save` writes it: the v1 and C++ loaders leave its variables without values."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(4)
    tf.saved_model.save(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)]), str(path))


def vocabulary(path: Path) -> None:
    """A table from an asset file that lies elsewhere and is gone afterwards, and an embedding."""
    import tensorflow as tf

    file = path.parent / "words.txt"
    file.write_text("the\na\nmovie\n")
    by_line = (tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = tf.lookup.StaticVocabularyTable(tf.lookup.TextFileInitializer(str(file), *by_line), 2)
            self.embedding = tf.Variable(np.random.default_rng(0).uniform(-1, 1, (5, 3)).astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
        def __call__(self, words: Any) -> Any:
            ids = self.table.lookup(words)
            return {"ids": ids, "vectors": tf.gather(self.embedding, ids), "upper": tf.strings.upper(words)}

    tf.saved_model.save(Model(), str(path))
    file.unlink()


def bfloat16(path: Path) -> None:
    """A convolution with scale and offset, computed in bfloat16."""
    import tensorflow as tf

    random = np.random.default_rng(8)

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.cast(random.uniform(-1, 1, (3, 3, 2, 4)), tf.bfloat16))
            self.scale = tf.Variable(tf.cast(random.uniform(0.5, 1.5, 4), tf.bfloat16))

        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 2], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            conv = tf.nn.conv2d(tf.cast(x, tf.bfloat16), self.kernel, 1, "SAME")
            return {"y": tf.cast(conv * self.scale + self.scale, tf.float32)}

    tf.saved_model.save(Model(), str(path))


def learnt_table(path: Path) -> None:
    """A table whose content the checkpoint restores."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
            self.table.insert(tf.constant(["the", "a"]), tf.constant([7, 9], tf.int64))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
        def __call__(self, words: Any) -> Any:
            return {"ids": self.table.lookup(words)}

    tf.saved_model.save(Model(), str(path))


def counter(path: Path) -> None:
    """A signature that counts its calls and changes a matrix, beside a weight that it only reads."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = tf.Variable(3, name="count")
            self.state = tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="state")
            self.weight = tf.Variable([2.0, 5.0], name="weight")

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            count = self.count.assign_add(1)
            self.state.assign(self.state * 1.5)
            return {"count": count, "state": self.state.read_value(), "y": x[:1] * self.weight}

    tf.saved_model.save(Model(), str(path))


def branches(path: Path) -> None:
    """Variables read in the branches of a cond, in a loop, in a gather inside both, and by shape."""
    import tensorflow as tf

    random = np.random.default_rng(5)

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable(random.uniform(-1, 1, (4, 4)).astype(np.float32))
            self.rows = tf.Variable(random.uniform(-1, 1, (6, 4)).astype(np.float32))

        @tf.function(
            input_signature=[tf.TensorSpec([None], tf.int32, name="ids"), tf.TensorSpec([], tf.bool, name="flag")]
        )
        def __call__(self, ids: Any, flag: Any) -> Any:
            x = tf.cond(
                flag, lambda: tf.gather(self.rows, ids), lambda: tf.gather_nd(self.rows, ids[:, None]) @ self.weight
            )
            for _ in tf.range(3):
                x = tf.nn.tanh(x @ self.weight) + tf.gather(self.rows, ids) / tf.cast(
                    tf.shape(self.rows)[0], tf.float32
                )
            tf.debugging.assert_less(ids, 6)
            return {"y": x}

    tf.saved_model.save(Model(), str(path))


def tf1(path: Path) -> None:
    """A TF 1 model: reference and resource variables, a batch norm behind a `phase_train` cond, an asset, a main op."""
    import tensorflow as tf

    v1 = tf.compat.v1
    file = path.parent / "words.txt"
    file.write_text("the\na\n")
    by_line = (tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
    v1.disable_control_flow_v2()
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(6)
        x = v1.placeholder(tf.float32, [None, 8, 8, 2], name="x")
        training = v1.placeholder_with_default(False, [], name="phase_train")
        positive = v1.random_uniform_initializer(0.5, 1.5)
        conv = tf.nn.conv2d(x, v1.get_variable("kernel", [3, 3, 2, 4], use_resource=False), 1, "SAME")
        mean, variance, gamma, beta = (
            v1.get_variable(name, [4], initializer=positive, use_resource=name in ("gamma", "beta"))
            for name in ("mean", "variance", "gamma", "beta")
        )
        norm = v1.cond(
            training,
            lambda: v1.nn.fused_batch_norm(conv, gamma, beta, is_training=True)[0],
            lambda: v1.nn.fused_batch_norm(conv, gamma, beta, mean, variance, is_training=False)[0],
        )
        y = tf.nn.relu(norm, name="y")
        asset = tf.constant(str(file))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset)
        table = tf.lookup.StaticVocabularyTable(tf.lookup.TextFileInitializer(asset, *by_line), 2)
        words = v1.placeholder(tf.string, [None], name="words")
        ids = tf.identity(table.lookup(words), name="ids")
        main_op = v1.tables_initializer()
        session.run([v1.global_variables_initializer(), main_op])
        predict = v1.saved_model.predict_signature_def
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": predict({"x": x}, {"y": y}), "words": predict({"words": words}, {"ids": ids})},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=main_op,
        )
        builder.save()
    v1.enable_control_flow_v2()
    file.unlink()


def ragged(path: Path) -> None:
    """An output of several tensors."""
    import tensorflow as tf

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def __call__(self, text: Any) -> Any:
            return {"words": tf.strings.split(text), "length": tf.strings.length(text)}

    tf.saved_model.save(Model(), str(path))


def random_numbers(path: Path) -> None:
    """An output that differs run by run, and one that does not."""
    import tensorflow as tf

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            # Not tf.random.uniform: with a global seed, two sessions would agree.
            noise = tf.raw_ops.RandomUniform(shape=tf.shape(x), dtype=tf.float32, seed=0, seed2=0)
            return {"noisy": x + noise, "twice": x * 2.0}

    tf.saved_model.save(Model(), str(path))


MODELS = {
    function.__name__: function
    for function in (
        cnn,
        two_inputs,
        lstm,
        written_by_save,
        vocabulary,
        learnt_table,
        counter,
        branches,
        tf1,
        ragged,
        random_numbers,
    )
}
