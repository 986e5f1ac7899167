import re

import pytest

from tfs.savedmodel.description import describe
from tfs.savedmodel.objects import functions_of, variables_of
from tfs.savedmodel.reading import meta_graph, read_saved_model


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """The object graph of a module with nested parts, names that a checkpoint escapes, and arguments of many kinds."""
    import tensorflow as tf

    class Inner(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable([1.0, 2.0], name="inner/weight")

        @tf.function
        def scale(self, values, factor=2, *, mode="sum", pair=(1, None)):
            return [values["a"] * factor * self.weight, (values["a"],)]

    class Outer(tf.Module):
        def __init__(self):
            super().__init__()
            self.parts = {"a/b.c": Inner()}
            self.steps = tf.Variable(0, trainable=False, name="steps")

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x"), tf.TensorSpec(None, tf.string)])
        def forward(self, x, words):
            self.parts["a/b.c"].scale({"a": x[:, :2]})
            return {"x": x, "count": tf.size(words)}

    module = Outer()
    module.parts["a/b.c"].scale({"a": tf.ones([4, 2])}, factor=3, mode="mean", pair=(2, None))
    path = tmp_path_factory.mktemp("objects") / "1"
    tf.saved_model.save(module, str(path))
    return path, meta_graph(read_saved_model(path), path).object_graph_def


def test_functions_have_their_path_arguments_and_results(objects):
    found = {(function.path, function.arguments): function.results for function in functions_of(objects[1])}
    assert found["forward", ("x: float32[?, 3]", "words: string of unknown rank")] == (
        "count=int32[]",
        "x=float32[?, 3]",
    )
    traced = ("{a=values_a: float32[4, 2]}", "3", "mode='mean'", "pair=(2, None)")
    [scale] = [(path, arguments) for path, arguments in found if path.endswith("scale") and "mean" in str(arguments)]
    assert scale[1] == traced
    # TensorFlow numbers the results.
    assert [re.sub(r"tensor_\w+: ", "", text) for text in found[scale]] == ["float32[4, 2]", "(float32[4, 2])"]


def test_each_function_is_listed_once_and_those_of_the_root_come_first(objects):
    functions = functions_of(objects[1])
    assert len({function.name for function in functions}) == len(functions)
    assert functions[0].path == "forward"


def test_variables_have_their_graph_names_by_checkpoint_key(objects):
    path, graph = objects
    names = {key: (variable.name, variable.trainable) for key, variable in variables_of(graph).items()}
    assert names == {
        "parts/a.Sb..c/weight/.ATTRIBUTES/VARIABLE_VALUE": ("inner/weight", True),
        "steps/.ATTRIBUTES/VARIABLE_VALUE": ("steps", False),
    }
    described = {variable.name: variable for variable in describe(path).variables}
    assert (described["inner/weight"].shape, described["inner/weight"].size) == ((2,), 8)
    assert described["steps"].trainable is False
