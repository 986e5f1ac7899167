"""TensorFlow's own optimizer as a transform."""

from typing import Any

import pytest
from graphs import apply, assert_same_numbers, numbers, ops, tf1, view_of

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.transforms.graph_view import GraphView

_X = {"x": numbers(2, 6, 6, 2)}


def _view() -> GraphView:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 6, 6, 2], name="x")
        scale = tf.math.rsqrt(tf.constant(numbers(4, low=0.5)))
        conv = tf.nn.conv2d(x, numbers(3, 3, 2, 4), 1, "SAME")
        tf.nn.relu(tf.nn.bias_add(conv * scale, numbers(4, seed=1)), name="y")

    return view_of(build)


@pytest.mark.parametrize("text", ["grappler", 'grappler(passes="constfold, dependency, pruning")'])
def test_grappler_folds_constants_and_keeps_inputs_and_outputs(text: str) -> None:
    before = _view()
    after = apply(text, before)
    assert "Rsqrt" in ops(before)
    assert "Rsqrt" not in ops(after)
    assert_same_numbers(before, after, _X)


def test_grappler_can_be_combined_with_other_transforms() -> None:
    after = apply("grappler(passes=constfold) fold_batch_norms grappler(passes=pruning)", _view())
    assert "Mul" not in ops(after)
    assert_same_numbers(_view(), after, _X)


def test_a_pass_that_grappler_does_not_know_is_wrong_usage() -> None:
    """Grappler itself ignores it without a word."""
    with pytest.raises(UsageError, match=r"there is no pass `constfolding` \(there are: arithmetic, "):
        apply("grappler(passes=constfolding)", _view())


def test_what_no_file_can_hold_is_refused() -> None:
    def build() -> None:
        import tensorflow as tf

        x: Any = tf1().placeholder(tf.float32, [None, 6, 6, 2], name="x")
        conv = tf.nn.bias_add(tf.nn.conv2d(x, numbers(3, 3, 2, 4), 1, "SAME"), numbers(4))
        tf.identity(tf.nn.relu(conv), name="y")

    with pytest.raises(TfsError, match=r"Grappler made `.*` \(_FusedConv2D\), which no file can hold"):
        apply('set_device(device="/device:CPU:0") grappler(passes=remap)', view_of(build))
