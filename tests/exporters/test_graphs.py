"""TF 1 graphs: frozen, with a checkpoint, and in a session."""

import numpy as np
import pytest
from serving import answers, exported, numbers

from tfs.savedmodel.errors import TfsError

_CODE = """
import numpy as np
import tensorflow.compat.v1 as tf

def session():
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 4], name="images")
        words = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.0, 2.0]), 0.0)
        word = tf.placeholder(tf.string, [None], name="word")
        tf.identity(words.lookup(word), name="value")
        values = np.float32([[0, 1], [2, 3], [4, 5], [6, 7]])
        w = tf.get_variable("layer/w", initializer=values, use_resource={resource})
        tf.nn.softmax(tf.matmul(images, w) / 10, name="layer/scores")
        session = tf.Session(graph=graph)
        session.run([tf.global_variables_initializer(), tf.tables_initializer()])
    return session
"""


@pytest.fixture(scope="module", params=["reference", "resource"])
def trained(request, tmp_path_factory):
    """(a folder with session.py, softmax.meta, its checkpoint and softmax.pb; the session)."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp(request.param)
    (folder / "session.py").write_text(_CODE.replace("{resource}", str(request.param == "resource")))
    from tfs.exporters.sources.python_objects import load_object

    session = load_object(f"{folder / 'session.py'}:session")()
    with session.graph.as_default():
        tf.compat.v1.train.Saver().save(session, str(folder / "softmax"))
        frozen = tf.compat.v1.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), ["layer/scores"]
        )
    (folder / "softmax.pb").write_bytes(frozen.SerializeToString())
    return folder, session


_PREDICT_IMAGES = {"inputs": {"images": "images:0"}, "outputs": {"scores": "layer/scores"}}


@pytest.mark.parametrize("source", ["softmax.pb", "softmax.meta", "session.py:session"])
def test_named_tensors_become_a_signature(trained, tmp_path, source):
    folder, session = trained
    done = exported(folder / source, tmp_path, signatures={"predict_images": _PREDICT_IMAGES})
    assert list(done.signatures) == ["predict_images"]
    assert done.signatures["predict_images"].method_name == "tensorflow/serving/predict"
    images = {"images": numbers(5, 4)}
    expected = session.run("layer/scores:0", {"images:0": images["images"]})
    np.testing.assert_allclose(answers(done.path, images, "predict_images")["scores"], expected, rtol=1e-5)


def test_tables_are_filled_in_the_servers_session(trained, tmp_path):
    folder, _ = trained
    signatures = {"serving_default": {"inputs": {"word": None}, "outputs": {"value": None}}}
    done = exported(folder / "softmax.meta", tmp_path, signatures=signatures)
    assert answers(done.path, {"word": np.array([b"b", b"?"], object)})["value"].tolist() == [2, 0]


def test_a_signature_derived_from_named_tensors(trained, tmp_path):
    folder, session = trained
    signatures = {
        "predict_images": _PREDICT_IMAGES,
        "example": {"of": "predict_images", "features": {"images": {"dtype": "float32", "shape": [4]}}},
    }
    done = exported(folder / "softmax.pb", tmp_path, signatures=signatures)
    assert set(done.signatures) == {"example", "predict_images"}
    from tfs.savedmodel.protos import example_pb2

    example, image = example_pb2.Example(), numbers(1, 4)
    example.features.feature["images"].float_list.value.extend(image[0].tolist())
    serialized = np.array([example.SerializeToString()], object)
    expected = session.run("layer/scores:0", {"images:0": image})
    [alias] = done.signatures["example"].inputs
    np.testing.assert_allclose(answers(done.path, {alias: serialized}, "example")["scores"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (None, r"softmax.meta` does not say what its inputs and outputs are \(--signature NAME='images:0 -> "),
        ({"inputs": {"x": "image:0"}, "outputs": {"s": "layer/scores"}}, r"`image:0` \(did you mean `images`"),
        ({"inputs": {"images": None}}, "signature `s` does not say which tensors its inputs and outputs are"),
    ],
)  # fmt: skip
def test_names_that_are_wrong(trained, tmp_path, signature, words):
    signatures = {} if signature is None else {"s": signature}
    with pytest.raises(TfsError, match=words):
        exported(trained[0] / "softmax.meta", tmp_path / "m", signatures=signatures)
    assert not (tmp_path / "m").exists()


def test_checkpoints_that_do_not_match_name_the_variable(trained, tmp_path):
    import tensorflow as tf

    for name, value in {"other/w": tf.zeros([4, 2]), "layer/w": tf.zeros([3, 2])}.items():
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.compat.v1.get_variable(name, initializer=np.zeros(value.shape, np.float32))
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.train.Saver().save(session, str(tmp_path / name.replace("/", "_")))
    source, options = trained[0] / "softmax.meta", {"signatures": {"p": _PREDICT_IMAGES}}
    with pytest.raises(TfsError, match=r"other_w` has no values for `layer/w`"):
        exported(source, tmp_path / "m", weights=str(tmp_path / "other_w"), **options)
    with pytest.raises(TfsError, match=r"variable `layer/w` is \(4, 2\), in checkpoint .* \(3, 2\)"):
        exported(source, tmp_path / "m", weights=str(tmp_path / "layer_w"), **options)
    with pytest.raises(TfsError, match=r"there is no checkpoint `nowhere`"):
        exported(source, tmp_path / "m", weights="nowhere", **options)
    assert not (tmp_path / "m").exists()


def test_a_damaged_graph_and_ops_that_are_not_here(trained, tmp_path):
    from tfs.savedmodel.protos import graph_pb2

    options = {"signatures": {"p": _PREDICT_IMAGES}}
    (tmp_path / "damaged.pb").write_bytes(b"\xff\xff not really")
    with pytest.raises(TfsError, match=r"damaged.pb` cannot be loaded: "):
        exported(tmp_path / "damaged.pb", tmp_path / "m", **options)
    graph = graph_pb2.GraphDef.FromString((trained[0] / "softmax.pb").read_bytes())
    next(node for node in graph.node if node.op == "Softmax").op = "Addons>Softmax"
    (tmp_path / "foreign.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(TfsError, match=r"foreign.pb` cannot be loaded: .*Addons>Softmax") as refused:
        exported(tmp_path / "foreign.pb", tmp_path / "m", **options)
    assert "\n" not in str(refused.value)


def test_the_file_of_a_saved_model_is_not_taken_for_a_graph(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(TfsError, match=r"is a file of a SavedModel \(name its folder: "):
        exported(tmp_path / "saved_model.pb", tmp_path / "m")
