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


@pytest.fixture(scope="session")
def scoring_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version whose inputs take some values only.

    `serving_default` and `regress` parse examples (`age`: one int64, `size`: two floats, `tags`: strings), the first by
    the Classify method, the other by Regress; `embed` looks ids up in a table of 50 rows, and words in a vocabulary.
    """
    import tensorflow as tf

    v1 = tf.compat.v1
    path = tmp_path_factory.mktemp("scoring") / "1"
    utils, names = v1.saved_model.utils, v1.saved_model.signature_constants
    with tf.Graph().as_default(), v1.Session() as session:
        serialized = v1.placeholder(tf.string, [None], name="examples")
        spec = {
            "age": tf.io.FixedLenFeature([], tf.int64),
            "size": tf.io.FixedLenFeature([2], tf.float32),
            "tags": tf.io.VarLenFeature(tf.string),
        }
        features = tf.io.parse_example(serialized, spec)
        scores = features["size"] * tf.cast(features["age"], tf.float32)[:, None]
        ids = v1.placeholder(tf.int32, [None, 4], name="ids")
        words = v1.placeholder(tf.string, [None], name="words")
        table = v1.get_variable("table", [50, 3], use_resource=True)
        keys = tf.constant(["alpha", "beta", "gamma"])
        vocabulary = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, tf.range(3, dtype=tf.int64)), -1
        )
        rows = tf.gather(table, tf.reshape(tf.cast(ids, tf.int64), [-1]))
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        info = utils.build_tensor_info
        signatures = {
            "serving_default": ({"inputs": serialized}, {"scores": scores}, names.CLASSIFY_METHOD_NAME),
            "regress": ({"inputs": serialized}, {"outputs": scores[:, :1]}, names.REGRESS_METHOD_NAME),
            "embed": ({"ids": ids, "words": words}, {"rows": rows, "found": vocabulary.lookup(words)}, ""),
        }
        definitions = {
            name: v1.saved_model.signature_def_utils.build_signature_def(
                {alias: info(tensor) for alias, tensor in inputs.items()},
                {alias: info(tensor) for alias, tensor in outputs.items()},
                method or names.PREDICT_METHOD_NAME,
            )
            for name, (inputs, outputs, method) in signatures.items()
        }
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], definitions, main_op=v1.tables_initializer())
        builder.save()
    return path
