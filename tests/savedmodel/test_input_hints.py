from pathlib import Path

import numpy as np

from tfs.savedmodel.input_hints import ExampleFeature, InputHints, hints_of, read_hints
from tfs.savedmodel.protos import meta_graph_pb2
from tfs.savedmodel.reading import read_signatures
from tfs.savedmodel.synthetic import generate, generate_examples


def test_ids_words_and_features_are_found_in_a_graph_of_tf_1(scoring_model):
    hints = read_hints(scoring_model)
    assert hints.id_ranges == {"ids": 50}
    assert hints.words == (b"alpha", b"beta", b"gamma")
    assert hints.features == {
        "age": ExampleFeature(9, 1),
        "size": ExampleFeature(1, 2),
        "tags": ExampleFeature(7, None),
    }


def test_a_vocabulary_is_read_from_its_asset(plain_model):
    assert read_hints(plain_model / "3").words == (b"the", b"a")


def test_ids_are_traced_through_functions_to_the_smallest_table(tmp_path_factory):
    import tensorflow as tf

    class Encoder(tf.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = tf.Variable(tf.zeros([90, 2])), tf.Variable(tf.zeros([70, 2]))

        @tf.function
        def look_up(self, ids):
            return tf.gather(self.wide, tf.cast(ids, tf.int32)) + tf.gather(self.narrow, tf.identity(ids))

        @tf.function(
            input_signature=[tf.TensorSpec([None, 3], tf.int64, name="ids"), tf.TensorSpec([None], tf.int64, name="n")]
        )
        def __call__(self, ids, n):
            return {"y": tf.reduce_sum(self.look_up(ids), 1), "n": n + 1}

    path = tmp_path_factory.mktemp("encoder") / "1"
    tf.saved_model.save(Encoder(), str(path))
    hints = read_hints(path)
    assert hints.id_ranges == {"serving_default_ids": 70}
    inputs = generate(read_signatures(path)["serving_default"], 200, 0, hints)
    assert (inputs["ids"].min(), inputs["ids"].max()) == (0, 69)
    assert set(inputs["n"]) == {0, 1}


def test_the_rows_are_those_of_the_axis_that_ids_choose_from():
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        ids = tf.compat.v1.placeholder(tf.int64, [None, 4], name="ids")
        parts = tf.split(tf.concat([ids, ids], axis=1), 2, axis=1)
        tf.gather(tf.zeros([3, 9]), tf.stack(parts), axis=1)
        tf.gather(tf.zeros([12, 2]), tf.reshape(tf.cast(ids, tf.int32), [-1]))
        size = tf.compat.v1.placeholder(tf.int32, [2], name="size")
        tf.gather(tf.zeros([5, 2]), tf.zeros(size, tf.int32))
    meta_graph = meta_graph_pb2.MetaGraphDef(graph_def=graph.as_graph_def())
    assert hints_of(meta_graph, Path()).id_ranges == {"ids": 9}


def test_a_graph_without_any_has_none(tmp_path):
    graph = meta_graph_pb2.MetaGraphDef()
    graph.graph_def.node.add(name="g", op="GatherV2", input=["lost", "x", "axis"])
    graph.asset_file_def.add(filename="gone.txt")
    assert hints_of(graph, tmp_path) == InputHints()


def test_generated_strings_hit_the_vocabulary_and_miss_it(scoring_model):
    words = generate(read_signatures(scoring_model)["embed"], 100, 0, InputHints(words=(b"alpha", b"beta")))["words"]
    hits = np.isin(words.astype("S"), [b"alpha", b"beta"])
    assert 50 < hits.sum() < 100


def test_generated_examples_are_what_the_model_parses(scoring_model):
    import tensorflow as tf

    spec = {"age": tf.io.FixedLenFeature([], tf.int64), "size": tf.io.FixedLenFeature([2], tf.float32)}
    hints = read_hints(scoring_model)
    serialized = [example.SerializeToString() for example in generate_examples(hints, 5, 0)]
    assert tf.io.parse_example(serialized, spec)["size"].shape == (5, 2)
    inputs = generate(read_signatures(scoring_model)["regress"], 5, 0, hints)["inputs"]
    assert tf.io.parse_example(inputs.tolist(), spec)["size"].shape == (5, 2)


def test_examples_belong_to_the_input_that_is_parsed(tmp_path):
    import tensorflow as tf

    string = tf.TensorSpec([None], tf.string)

    @tf.function(input_signature=[string, string])
    def parse(examples, text):
        features = {"age": tf.io.FixedLenFeature([2], tf.float32), "ids": tf.io.RaggedFeature(tf.int64)}
        parsed = tf.io.parse_example(examples, features)
        return {"n": parsed["ids"].row_lengths(), "text": text, "age": parsed["age"]}

    @tf.function(input_signature=[string])
    def other(examples):
        return {"age": tf.io.parse_example(examples, {"age": tf.io.FixedLenFeature([], tf.int64)})["age"]}

    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"both": parse, "other": other})
    hints = read_hints(tmp_path / "1")
    assert hints.examples == {
        "both_examples": {"age": ExampleFeature(1, 2), "ids": ExampleFeature(9, None)},
        "other_examples": {"age": ExampleFeature(9, 1)},
    }
    signature = read_signatures(tmp_path / "1")["both"]
    values = generate(signature, 2, 0, hints)
    loaded = tf.saved_model.load(str(tmp_path / "1")).signatures["both"]
    answered = loaded(**{alias: tf.constant(array) for alias, array in values.items()})
    assert answered["n"].numpy().tolist() == [1, 1]
    assert values["text"].tolist()[0] == b"the"


def test_an_asset_that_is_no_text_gives_no_words(tmp_path):
    import tensorflow as tf

    (tmp_path / "pieces.model").write_bytes(b"\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00\n\xff")
    module = tf.Module()
    module.file = tf.saved_model.Asset(str(tmp_path / "pieces.model"))
    serve = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.string, name="x")])
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"serving_default": serve})
    assert read_hints(tmp_path / "1").words == ()
