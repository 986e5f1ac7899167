"""What users reported of the Graph Transform Tool (issues of tensorflow/tensorflow) and must not happen here.

Further ones stand with what they are about: 31877, 12740, 13990, 50172, 17974, 27522 with the batch norms, 19683 with
constant folding.
"""

from pathlib import Path
from typing import Any

import pytest
from graphs import apply, assert_same_numbers, numbers, ops, reasons, result_of, tf1, view_of

from tfs.savedmodel.errors import UsageError
from tfs.transforms.comparing import MismatchError
from tfs.transforms.graph_view import GraphView, Tensor
from tfs.transforms.optimizing import optimize
from tfs.transforms.passes.fold_old_batch_norms import FoldOldBatchNorms
from tfs.transforms.registry import steps_of

_X = {"x": numbers(2, 6, 6, 2)}


def _norm(x: Any, *, training: bool = False) -> Any:
    statistics = () if training else (numbers(4, seed=1), numbers(4, seed=2, low=0.5))
    return tf1().nn.fused_batch_norm(x, numbers(4, seed=3), numbers(4, seed=4), *statistics, is_training=training)[0]


def _residual(training: bool) -> GraphView:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 6, 6, 2], name="x")
        first = tf.identity(_norm(tf.identity(tf.nn.conv2d(x, numbers(3, 3, 2, 4), 1, "SAME")), training=training))
        second = _norm(tf.nn.conv2d(tf.nn.relu(first), numbers(3, 3, 4, 4), 1, "SAME"))
        tf.nn.relu(tf.identity(first) + second, name="y")

    return view_of(build)


@pytest.mark.parametrize("training", [False, True])
def test_19530_a_shared_or_training_batch_norm_is_folded_after_its_identities(
    training: bool,
) -> None:
    before = apply("fold_constants remove_nodes(op=Identity)", _residual(training))
    result = result_of(FoldOldBatchNorms(), before)
    assert ops(result.view)["FusedBatchNormV3"] == training
    assert ("it is in training mode" in reasons(result)) == training
    assert_same_numbers(before, result.view, _X)


@pytest.mark.parametrize("layer", ["before", "behind"])
def test_11370_18863_depthwise_convolutions_take_batch_norms(layer: str) -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 6, 6, 4], name="x")
        norm = _norm(x) if layer == "before" else x
        conv = tf.nn.depthwise_conv2d(norm, numbers(3, 3, 4, 1), [1, 1, 1, 1], "VALID")
        tf.identity(_norm(conv) if layer == "behind" else conv, name="y")

    before = view_of(build)
    after = apply("serving", before)
    assert not ops(after).keys() & {"FusedBatchNormV3", "Mul", "AddV2"}
    assert_same_numbers(before, after, {"x": numbers(2, 6, 6, 4)})


def test_16545_5543_folding_leaves_no_control_edge_behind_and_keeps_shapes() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 3], name="x")
        with tf.control_dependencies([tf.constant(1.0, name="idle")]):
            table = tf.sqrt(tf.constant(numbers(3, 2, low=0.1)))
        tf.matmul(x, table, name="y")

    after = apply("fold_constants strip_unused_nodes", view_of(build))
    assert set(ops(after)) == {"Placeholder", "Const", "MatMul"}
    assert not any(text.startswith("^") for node in after for text in node.input)
    assert [dim.size for dim in after.nodes["x"].attr["shape"].shape.dim] == [-1, 3]


def test_15366_a_removed_node_hands_on_the_port_that_it_read() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 4], name="x")
        tf.exp(tf.identity(tf.split(x, 2, axis=1, name="halves")[1]), name="y")

    after = apply("remove_nodes(op=Identity)", view_of(build))
    assert list(after.nodes["y"].input) == ["halves:1"]


def test_8765_an_identity_that_orders_old_control_flow_stays() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        tf1().disable_control_flow_v2()
        tf.identity(tf1().cond(x > 0, lambda: tf.constant(1.0), lambda: x * 2), name="y")
        tf1().enable_control_flow_v2()

    before = view_of(build)
    after = apply("remove_nodes(op=Identity)", before)
    for value in (1.5, -1.5):
        assert_same_numbers(before, after, {"x": value})


def test_8404_control_inputs_stay_behind_data_inputs() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        with tf.control_dependencies([tf.raw_ops.Assert(condition=x < 9, data=[x], name="check")]):
            held = tf.identity(x)
        tf.add(held, tf.exp(x), name="y")

    after = apply("remove_nodes(op=Identity)", view_of(build))
    kinds = [Tensor.parse(text).port < 0 for text in after.nodes["y"].input]
    assert kinds == [False, False, True]


@pytest.mark.parametrize("text", ["\\\n", "fold_constants \\\n fold_batch_norms", "fold_constants;"])
def test_7150_text_that_starts_nothing_ends_in_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="expected the name of a transform"):
        steps_of(text)


def test_7523_16803_11182_a_quantized_graph_that_is_far_off_is_not_written(tmp_path: Path) -> None:
    import tensorflow as tf

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 32], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            return {"y": tf.nn.relu(x @ tf.constant(numbers(32, 8)))}

    tf.saved_model.save(Model(), str(tmp_path / "1"))
    transforms = "serving quantize_nodes(fallback_min=-0.1, fallback_max=0.1)"
    with pytest.raises(MismatchError, match="output `y` of signature `serving_default` is off by"):
        optimize(tmp_path / "1", transforms, output=tmp_path / "2")
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]
    report = optimize(tmp_path / "1", "serving quantize_nodes", output=tmp_path / "2")
    assert report.verification is not None
    assert report.verification.largest_difference < 0.1
