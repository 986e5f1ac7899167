"""What is left of a batch norm behind averages, maxima and rearrangements: it goes into the biases in front of them."""

from collections.abc import Callable
from typing import Any

import pytest
from graphs import apply, assert_same_numbers, numbers, ops, tf1, view_of

from tfs.transforms.graph_view import GraphView

_X = {"x": numbers(2, 8, 8, 3)}
Between = Callable[[Any], Any]


def _graph(between: Between, *, add: str = "bias") -> GraphView:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 8, 8, 3], name="x")
        conv = tf.nn.conv2d(x, numbers(3, 3, 3, 4), 1, "SAME")
        bias = numbers(4, seed=1)
        added = {"bias": lambda: tf.nn.bias_add(conv, bias), "sub": lambda: conv - bias, "none": lambda: conv}[add]()
        scaled = between(added) * numbers(4, seed=2, low=0.5)
        tf.nn.relu(scaled + numbers(4, seed=3), name="y")

    return view_of(build)


def _tf() -> Any:
    import tensorflow as tf

    return tf


@pytest.mark.parametrize("add", ["bias", "sub"])
@pytest.mark.parametrize(
    "between",
    [
        lambda x: _tf().nn.avg_pool2d(x, 3, 2, "SAME"),
        lambda x: _tf().nn.max_pool2d(x, 3, 2, "SAME"),
        lambda x: _tf().reduce_mean(x, [1, 2]),
        lambda x: _tf().transpose(x, [0, 2, 1, 3]),
        lambda x: _tf().pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT"),
        lambda x: _tf().raw_ops.ResizeBilinear(images=x, size=[5, 13], align_corners=False, half_pixel_centers=True),
        lambda x: _tf().reshape(x, [_tf().shape(x)[0], 64, 4]),
    ],
    ids=["average", "maximum", "mean", "transpose", "mirror", "resize", "reshape of its own shape"],
)
def test_scale_and_offset_go_into_kernel_and_bias(between: Between, add: str) -> None:
    before = _graph(between, add=add)
    after = apply("fold_constants fold_batch_norms", before)
    kinds = ops(after)
    assert kinds["Mul"] == 0
    assert kinds["BiasAdd"] + kinds["AddV2"] + kinds["Sub"] == 1
    assert_same_numbers(before, after, _X)


def test_each_part_of_a_concatenation_gets_its_own() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 8, 8, 3], name="x")
        parts = [
            tf.nn.bias_add(tf.nn.conv2d(x, numbers(1, 1, 3, size, seed=size), 1, "SAME"), numbers(size))
            for size in (2, 5)
        ]
        tf.nn.relu(tf.concat(parts, -1) * numbers(7, seed=2, low=0.5) + numbers(7, seed=3), name="y")

    before = view_of(build)
    after = apply("fold_constants fold_batch_norms", before)
    assert not ops(after).keys() & {"Mul", "AddV2"}
    assert ops(after)["BiasAdd"] == 2
    assert_same_numbers(before, after, _X)


@pytest.mark.parametrize(
    ("between", "add"),
    [
        (lambda x: _tf().pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), "bias"),
        (lambda x: _tf().nn.avg_pool2d(x, 2, 2, "VALID"), "none"),
        (lambda x: _tf().nn.leaky_relu(x, 0.3), "bias"),
    ],
    ids=["zeros around it", "no bias in front", "an activation"],
)
def test_an_offset_stays_where_moving_it_would_change_the_result_or_add_a_node(between: Between, add: str) -> None:
    before = _graph(between, add=add)
    after = apply("fold_constants fold_batch_norms", before)
    assert ops(after)["AddV2"] == 1
    assert_same_numbers(before, after, _X)


def test_a_signature_that_reads_the_offset_reads_what_took_its_place() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 8, 8, 3], name="x")
        conv = tf.nn.bias_add(tf.nn.conv2d(x, numbers(3, 3, 3, 4), 1, "SAME"), numbers(4, seed=1))
        mean = tf.reduce_mean(conv, [1, 2])
        tf.shape(mean, name="size")
        tf.add(mean * numbers(4, seed=2), numbers(4, seed=3), name="y")

    before = view_of(build, fetched=("y", "size"))
    after = apply("fold_batch_norms", before)
    assert after.nodes["y"].op == "Mean"
    assert_same_numbers(before, after, _X)
