import pytest

from tfs.savedmodel.reading import meta_graph, read_saved_model
from tfs.savedmodel.restoring import unrestored_variables


def _unrestored(directory):
    return unrestored_variables(meta_graph(read_saved_model(directory), directory))


def test_every_variable_of_a_sound_model_is_restored(plain_model):
    assert _unrestored(plain_model / "3") == []


def test_variables_that_keras_3_writes_twice_are_found(keras_saved_twice):
    names = _unrestored(keras_saved_twice)
    assert [name.rpartition("/")[2] for name in names] == ["bias", "kernel"]


def test_the_v1_loader_agrees(plain_model, keras_saved_twice):
    import tensorflow as tf

    def run(directory, value):
        graph = meta_graph(read_saved_model(directory), directory)
        signature = graph.signature_def["serving_default"]
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.compat.v1.saved_model.load(session, ["serve"], str(directory))
            (tensor,) = signature.inputs.values()
            return session.run([info.name for info in signature.outputs.values()], {tensor.name: value})

    assert run(plain_model / "3", [1.0])[0].tolist() == [2.5]
    with pytest.raises(tf.errors.FailedPreconditionError, match="Could not find variable"):
        run(keras_saved_twice, [[1.0, 2.0, 3.0]])


def test_a_model_of_the_v1_builder_is_understood(tmp_path):
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        weight = tf.compat.v1.get_variable("weight", initializer=2.0, use_resource=True)
        lost = tf.compat.v1.get_variable("lost", initializer=3.0, use_resource=True)
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        session.run(tf.compat.v1.global_variables_initializer())
        for name, output, saver in (
            ("sound", x * weight, None),
            ("broken", x * weight * lost, tf.compat.v1.train.Saver([weight])),
        ):
            signature = tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": output})
            builder = tf.compat.v1.saved_model.Builder(str(tmp_path / name))
            builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, saver=saver)
            builder.save()
    assert _unrestored(tmp_path / "sound") == []
    assert _unrestored(tmp_path / "broken") == ["lost"]
