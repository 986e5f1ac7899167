"""Small SavedModels, written once by TensorFlow itself."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base path with version 3: two signatures over one variable, several dtypes, a table from an asset file."""
    import tensorflow as tf

    class Plain(tf.Module):
        def __init__(self, vocabulary: Path) -> None:
            super().__init__()
            self.slope = tf.Variable(0.5, name="slope")
            initializer = tf.lookup.TextFileInitializer(
                str(vocabulary),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            )
            self.table = tf.lookup.StaticHashTable(initializer, default_value=-1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def line(self, x):
            return {"y": self.slope * x + 2.0}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 2], tf.string, name="words"),
                tf.TensorSpec([None, None], tf.int32, name="counts"),
                tf.TensorSpec([], tf.bool, name="negate"),
            ]
        )
        def look_up(self, words, counts, negate):
            ids = self.table.lookup(words)
            return {"ids": tf.where(negate, -ids, ids), "total": tf.reduce_sum(counts, axis=1)}

    folder = tmp_path_factory.mktemp("plain")
    vocabulary = folder / "words.txt"
    vocabulary.write_text("the\na\n")
    module = Plain(vocabulary)
    signatures = {"serving_default": module.line, "look_up": module.look_up}
    tf.saved_model.save(module, str(folder / "base" / "3"), signatures=signatures)
    return folder / "base"


@pytest.fixture(scope="session")
def keras_saved_twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version directory as `tf.saved_model.save` writes it for a Keras 3 model: each variable twice."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2, name="dense")])
    path = tmp_path_factory.mktemp("twice") / "1"
    tf.saved_model.save(model, str(path))
    return path
