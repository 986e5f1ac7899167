"""Resizing, padding and dilation taken into convolutions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graphs import apply, assert_same_numbers, numbers, ops, tf1, view_of

from tfs.transforms.graph_view import GraphView
from tfs.transforms.pipeline import run_passes
from tfs.transforms.registry import steps_of

_X = {"x": numbers(2, 9, 7, 2, seed=9)}


def _graph(of: Callable[[Any], Any], rows: int | None = None) -> GraphView:
    def build() -> None:
        import tensorflow as tf

        tf.identity(of(tf1().placeholder(tf.float32, [rows, 9, 7, 2], name="x")), name="y")

    return apply("fold_constants", view_of(build))


def _conv(x: Any, **options: Any) -> Any:
    import tensorflow as tf

    return tf.nn.conv2d(x, numbers(3, 3, 2, 4), **{"strides": 1, "padding": "VALID", **options})


def _mirror(x: Any) -> Any:
    import tensorflow as tf

    return tf.pad(x, [[0, 0], [2, 1], [1, 2], [0, 0]], "REFLECT")


def _resize(x: Any, **options: Any) -> Any:
    return tf1().image.resize_bilinear(x, [12, 10], **options)


def _zeros(x: Any, value: float = 0) -> Any:
    import tensorflow as tf

    return tf.pad(x, [[0, 0], [2, 1], [1, 2], [0, 0]], constant_values=value)


@pytest.mark.parametrize(
    ("transform", "layers", "op"),
    [
        ("fuse_pad_and_conv", lambda x: _conv(_mirror(x), strides=2), "FusedPadConv2D"),
        ("fuse_resize_and_conv", lambda x: _conv(_resize(x, align_corners=True)), "FusedResizeAndPadConv2D"),
        ("fuse_resize_pad_and_conv", lambda x: _conv(_mirror(_resize(x))), "FusedResizeAndPadConv2D"),
        ("fuse_convolutions", lambda x: _conv(_mirror(_resize(x)), padding="SAME"), "FusedResizeAndPadConv2D"),
    ],
)
def test_what_stands_before_a_convolution_is_fused(transform: str, layers: Callable[[Any], Any], op: str) -> None:
    before = _graph(layers, rows=1)
    after = apply(transform, before)
    assert ops(after)[op] == 1
    assert not ops(after).keys() & {"Conv2D", "MirrorPad", "ResizeBilinear"}
    assert_same_numbers(before, after, {"x": _X["x"][:1]})


def _read_twice(x: Any) -> Any:
    padded = _mirror(x)
    return _conv(padded)[:, 0, 0, 0] + padded[:, 0, 0, 0]


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        (_read_twice, "is also read by"),
        (lambda x: _conv(_mirror(x), dilations=2), "it has dilations"),
        (lambda x: _conv(_resize(x, half_pixel_centers=True)), "has half-pixel centers"),
        (lambda x: _conv(_mirror(x), padding=[[0, 0], [1, 1], [1, 1], [0, 0]]), "it has explicit padding"),
    ],
)
def test_what_the_fused_kernels_lack_is_left_alone_with_a_reason(layers: Callable[[Any], Any], reason: str) -> None:
    before = _graph(layers, rows=1)
    after, reports = run_passes(before, steps_of("fuse_convolutions"))
    assert ops(after) == ops(before)
    assert any(reason in skip.reason for report in reports for skip in report.skipped)


def test_batches_are_left_alone_as_the_fused_kernels_compute_their_first_row_only() -> None:
    before = _graph(lambda x: _conv(_mirror(x)))
    after, reports = run_passes(before, steps_of("fuse_convolutions"))
    assert any("more than one row" in skip.reason for report in reports for skip in report.skipped)
    assert_same_numbers(before, after, _X)


@pytest.mark.parametrize("value", [0, 1])
def test_a_convolution_pads_with_zeros_by_itself(value: float) -> None:
    before = _graph(lambda x: _conv(_zeros(x, value), strides=2))
    after = apply("pad_convolutions", before)
    assert_same_numbers(before, after, _X)
    assert (ops(after)["Pad"] + ops(after)["PadV2"] == 0) == (value == 0)


def _atrous(padding: str, *, depthwise: bool = False, rate: int = 2) -> Callable[[Any], Any]:
    def of(x: Any) -> Any:
        import tensorflow as tf

        def conv(value: Any, _: Any) -> Any:
            kernel = numbers(3, 3, 2, 2 if depthwise else 4)
            run = tf1().nn.depthwise_conv2d_native if depthwise else tf.nn.conv2d
            return run(value, kernel, strides=[1, 1, 1, 1], padding="VALID")

        pads = [rate, rate] if padding == "SAME" else [0, 0]
        height, width = (-(9 + sum(pads)) % rate, -(7 + sum(pads)) % rate)
        spread = tf.space_to_batch(x, [rate, rate], [[pads[0], pads[1] + height], [pads[0], pads[1] + width]])
        return tf.batch_to_space(conv(spread, None), [rate, rate], [[0, height], [0, width]])

    return of


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("rate", [2, 3])
def test_a_convolution_of_batches_becomes_one_with_dilations(padding: str, depthwise: bool, rate: int) -> None:
    before = _graph(_atrous(padding, depthwise=depthwise, rate=rate))
    after = apply("flatten_atrous_conv", before)
    assert not ops(after).keys() & {"SpaceToBatchND", "BatchToSpaceND"}
    [conv] = [node for node in after if node.op in ("Conv2D", "DepthwiseConv2dNative")]
    assert conv.attr["padding"].s == padding.encode()
    assert_same_numbers(before, after, _X)


def test_other_padding_is_written_out() -> None:
    def of(x: Any) -> Any:
        import tensorflow as tf

        spread = tf.space_to_batch(x, [2, 2], [[4, 1], [0, 1]])
        return tf.batch_to_space(tf.nn.conv2d(spread, numbers(3, 3, 2, 4), 1, "VALID"), [2, 2], [[1, 0], [0, 1]])

    before = _graph(of)
    after = apply("flatten_atrous_conv", before)
    [conv] = [node for node in after if node.op == "Conv2D"]
    assert list(conv.attr["explicit_paddings"].list.i) == [0, 0, 3, 1, 0, 0, 0, 0]
    assert_same_numbers(before, after, _X)


def test_pads_that_depend_on_the_input_are_left_alone() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, None, None, 2], name="x")
        tf.nn.atrous_conv2d(x, numbers(3, 3, 2, 4), 2, "SAME", name="y")

    view = view_of(build)
    after, [report] = run_passes(view, steps_of("flatten_atrous_conv"))
    assert report.done == {}
    assert np.array_equal(list(after.nodes), list(view.nodes))
