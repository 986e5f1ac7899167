"""SavedModels that exist already, of TF 1 and TF 2, exported anew."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from serving import answers, exported, numbers

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import read_signatures

_MODELS = Path(__file__).parent / "models.py"


@pytest.fixture(scope="module")
def keras_twice(tmp_path_factory):
    """What tf.saved_model.save writes of a Keras 3 model, and the model: servers cannot restore its variables."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(8)
    normalized = keras.layers.BatchNormalization(moving_mean_initializer="ones")
    layers = [keras.layers.Dense(4), normalized, keras.layers.Dense(2, name="scores")]
    model = keras.Sequential([keras.Input((3,), name="x"), *layers])
    folder = tmp_path_factory.mktemp("twice") / "1"
    tf.saved_model.save(model, str(folder))
    return folder, model


def test_what_servers_cannot_restore_is_repaired(keras_twice, tmp_path):
    import tensorflow as tf

    broken, model = keras_twice
    [alias] = read_signatures(broken)["serving_default"].inputs
    x = numbers(4, 3)
    with pytest.raises(tf.errors.FailedPreconditionError, match="Could not find variable"):
        answers(broken, {alias: x})
    done = exported(broken, tmp_path)
    [output] = answers(done.path, {alias: x}).values()
    np.testing.assert_allclose(output, model(x, training=False), rtol=1e-5)
    loaded = tf.saved_model.load(str(done.path)).signatures["serving_default"]
    [output] = loaded(**{alias: tf.constant(x)}).values()
    np.testing.assert_allclose(output, model(x, training=False), rtol=1e-5)


@pytest.fixture(scope="module")
def two_signatures(tmp_path_factory):
    """A TF 2 SavedModel with the signatures `scale` and `lookup`; the second has a vocabulary file."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("two")
    (folder / "words.txt").write_text("the\nmovie\n")

    class Both(tf.Module):
        def __init__(self):
            super().__init__()
            self.factor = tf.Variable(3.0)
            ids = tf.lookup.TextFileInitializer(
                str(folder / "words.txt"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
            )  # fmt: skip
            self.table = tf.lookup.StaticHashTable(ids, -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def scale(self, x):
            return {"y": self.factor * x}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word")])
        def lookup(self, word):
            return {"id": self.table.lookup(word)}

    both = Both()
    tf.saved_model.save(both, str(folder / "1"), signatures={"scale": both.scale, "lookup": both.lookup})
    (folder / "words.txt").unlink()
    return folder / "1"


def test_signatures_stay_or_go(two_signatures, tmp_path):
    done = exported(two_signatures, tmp_path / "all")
    assert set(done.signatures) == {"lookup", "scale"}
    moved = shutil.move(done.path, tmp_path / "elsewhere")
    words = np.array([b"movie", b"none"], object)
    assert answers(moved, {"word": words}, "lookup")["id"].tolist() == [1, -1]
    pruned = exported(two_signatures, tmp_path / "one", keep_signatures=["scale"])
    assert set(pruned.signatures) == {"scale"}
    assert not (pruned.path / "assets").exists() or not list((pruned.path / "assets").iterdir())
    assert answers(pruned.path, {"x": np.float32([2])}, "scale")["y"].tolist() == [6]
    with pytest.raises(TfsError, match=r"no signature `scales` \(did you mean `scale`\?\)"):
        exported(two_signatures, tmp_path / "none", keep_signatures=["scales"])


def test_a_signature_is_made_by_a_function_of_the_loaded_model(two_signatures, tmp_path):
    code = tmp_path / "resigning.py"
    code.write_text(
        "import tensorflow as tf\n"
        "def sum_of(model):\n"
        "    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name='x')])\n"
        "    def serve(x):\n"
        "        return {'sum': tf.reduce_sum(model.signatures['scale'](x=x)['y'])}\n"
        "    return serve\n"
    )
    signatures = {"sum": f"{code}:sum_of", "serving_default": {"of": "scale", "outputs": {"scaled": "y"}}}
    done = exported(two_signatures, tmp_path / "m", signatures=signatures, keep_signatures=[])
    assert set(done.signatures) == {"serving_default", "sum"}
    assert answers(done.path, {"x": np.float32([2, 3])}, "sum")["sum"] == 15
    assert answers(done.path, {"x": np.float32([2, 3])})["scaled"].tolist() == [6, 9]


@pytest.fixture(scope="module")
def of_tf1(tmp_path_factory):
    """A TF 1 SavedModel with a variable, a vocabulary file, and a signature for Regress."""
    import tensorflow as tf

    v1 = tf.compat.v1
    folder = tmp_path_factory.mktemp("tf1")
    (folder / "words.txt").write_text("the\nmovie\n")
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], name="examples")
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(folder / "words.txt"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
            ), -1,
        )  # fmt: skip
        asset = tf.constant(str(folder / "words.txt"))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset)
        weights = v1.get_variable("weights", initializer=[2.0, 5.0], use_resource=False)
        words = tf.io.parse_example(examples, {"word": tf.io.FixedLenFeature([], tf.string, "the")})["word"]
        outputs = tf.gather(weights, tf.maximum(table.lookup(words), 0))
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        info = v1.saved_model.build_tensor_info
        definition = v1.saved_model.build_signature_def(
            {"inputs": info(examples)}, {"outputs": info(outputs)}, "tensorflow/serving/regress"
        )
        builder = v1.saved_model.Builder(str(folder / "1"))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": definition},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
        builder.save()
    (folder / "words.txt").unlink()
    return folder / "1"


def test_a_model_of_tf1_keeps_method_table_and_variables(of_tf1, tmp_path):
    from tfs.savedmodel.protos import example_pb2

    done = exported(of_tf1, tmp_path)
    assert done.signatures["serving_default"].method_name == "tensorflow/serving/regress"
    examples = [example_pb2.Example(), example_pb2.Example()]
    examples[0].features.feature["word"].bytes_list.value.append(b"movie")
    sent = {"inputs": np.array([one.SerializeToString() for one in examples], object)}
    assert answers(done.path, sent)["outputs"].tolist() == answers(of_tf1, sent)["outputs"].tolist() == [5.0, 2.0]


def test_new_signatures_of_reference_variables_are_refused(of_tf1, tmp_path):
    with pytest.raises(TfsError, match=r"reference variables of TF 1, .* \(freeze it first: tfs optimize\)"):
        exported(of_tf1, tmp_path / "m", signatures={"other": {"of": "serving_default"}})
    assert not (tmp_path / "m").exists()


def test_other_tags(two_signatures, tmp_path):
    done = exported(two_signatures, tmp_path, keep_signatures=["scale"], tags=["serve", "gpu"])
    x = {"x": np.float32([2])}
    assert answers(done.path, x, "scale", tags=("serve", "gpu"))["y"].tolist() == [6]
    again = exported(done.path, tmp_path / "again")
    assert answers(again.path, x, "scale")["y"].tolist() == [6]


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(TfsError, match=r"is no SavedModel: it holds no saved_model\.pb"):
        exported(tmp_path, tmp_path / "m")


def test_ops_that_are_not_here_are_named(two_signatures, tmp_path):
    from tfs.savedmodel.protos import saved_model_pb2

    source = shutil.copytree(two_signatures, tmp_path / "source")
    proto = saved_model_pb2.SavedModel.FromString((source / "saved_model.pb").read_bytes())
    for function in proto.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            node.op = {"Mul": "Addons>Mul"}.get(node.op, node.op)
    (source / "saved_model.pb").write_bytes(proto.SerializeToString())
    with pytest.raises(TfsError, match=r"cannot be loaded: .*Addons>Mul") as refused:
        exported(source, tmp_path / "m")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "m").exists()
