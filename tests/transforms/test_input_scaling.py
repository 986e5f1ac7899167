"""Batch norms in front of linear ops, and those further behind one."""

from collections.abc import Callable
from typing import Any

import pytest
from graphs import apply, assert_same_numbers, numbers, ops, tf1, view_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tfs.transforms.graph_view import GraphView

Layer = Callable[[Any], Any]

_X = {"x": numbers(2, 6, 6, 4, seed=9)}
_SCALE, _OFFSET = numbers(4, seed=1, low=0.5), numbers(4, seed=2)


def _graph(of: Layer) -> GraphView:
    def build() -> None:
        import tensorflow as tf

        tf.identity(of(tf1().placeholder(tf.float32, [None, 6, 6, 4], name="x")), name="y")

    return apply("fold_constants", view_of(build))


def _norm(x: Any) -> Any:
    return x * _SCALE + _OFFSET


def _conv(x: Any, *, groups: int = 1, padding: str = "VALID", size: int = 3) -> Any:
    import tensorflow as tf

    return tf.nn.conv2d(x, numbers(size, size, 4 // groups, 6, seed=4), 1, padding)


def _depthwise(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.depthwise_conv2d(x, numbers(3, 3, 4, 2), [1, 1, 1, 1], "VALID")


def _dense(x: Any) -> Any:
    import tensorflow as tf

    return tf.matmul(tf.reshape(x, [-1, 4]), numbers(4, 3))


def _dense_transposed(x: Any) -> Any:
    import tensorflow as tf

    return tf.matmul(tf.reshape(x, [-1, 4]), numbers(3, 4), transpose_b=True)


def _einsum(x: Any) -> Any:
    import tensorflow as tf

    return tf.raw_ops.Einsum(inputs=[x, tf.constant(numbers(3, 4))], equation="bhwi,oi->bhwo")


def _batch_matmul(x: Any) -> Any:
    import tensorflow as tf

    return tf.raw_ops.BatchMatMulV2(x=x, y=numbers(4, 3))


def _conv1d(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.conv1d(x[:, 0], numbers(3, 4, 2), stride=1, padding="VALID")


def _conv3d(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.conv3d(tf.expand_dims(x, 1), numbers(1, 3, 3, 4, 5), [1] * 5, "VALID")


_LAYERS = {
    "Conv2D": _conv,
    "1x1 with SAME": lambda x: _conv(x, padding="SAME", size=1),
    "grouped Conv2D": lambda x: _conv(x, groups=2),
    "DepthwiseConv2dNative": _depthwise,
    "MatMul": _dense,
    "MatMul with transpose_b": _dense_transposed,
    "Einsum": _einsum,
    "BatchMatMulV2": _batch_matmul,
    "Conv3D": _conv3d,
}


@pytest.mark.parametrize("layer", _LAYERS.values(), ids=_LAYERS)
def test_scale_and_offset_in_front_are_folded_into_kernel_and_bias(layer: Layer) -> None:
    before = _graph(lambda x: layer(_norm(x)))
    after = apply("fold_batch_norms", before)
    assert not ops(after).keys() & {"Mul", "AddV2"}
    assert ops(after)["BiasAdd"] + ops(after)["Sub"] == 1  # a Sub behind a small MatMul
    assert_same_numbers(before, after, _X)


def test_conv1d_takes_a_scale_in_front_of_its_expand_dims() -> None:
    def of(x: Any) -> Any:
        import tensorflow as tf

        return tf.nn.conv1d(tf.reshape(x, [-1, 36, 4]) * _SCALE + _OFFSET, numbers(3, 4, 2), stride=1, padding="VALID")

    before = _graph(of)
    after = apply("fold_batch_norms", before)
    assert not ops(after).keys() & {"Mul", "AddV2"}
    assert_same_numbers(before, after, _X)


def test_every_reader_takes_the_scale_or_none_does() -> None:
    def both(x: Any, other: Layer) -> Any:
        import tensorflow as tf

        scaled = x * _SCALE
        return tf.reduce_sum(_conv(scaled)) + tf.reduce_sum(other(scaled))

    before = _graph(lambda x: both(x, _depthwise))
    after = apply("fold_batch_norms", before)
    assert ops(after)["Mul"] == 0
    assert_same_numbers(before, after, _X, rtol=1e-4)
    kept = _graph(lambda x: both(x, _tanh))
    assert ops(apply("fold_batch_norms", kept)) == ops(kept)


def _tanh(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.tanh(x)


def _padded(x: Any) -> Any:
    import tensorflow as tf

    return tf.pad(x, [[0, 0], [1, 2], [2, 0], [0, 0]])


def _transposed(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.conv2d_transpose(x, numbers(3, 3, 2, 4), tf.concat([tf.shape(x)[:1], [12, 12, 2]], 0), strides=2)


@pytest.mark.parametrize(
    "layer",
    [lambda x: _conv(x, padding="SAME"), lambda x: _conv(_padded(x)), _transposed],
    ids=["SAME", "Pad", "transposed"],
)
def test_an_offset_stays_where_borders_are_padded_and_the_scale_goes_on(layer: Layer) -> None:
    with_offset = _graph(lambda x: layer(_norm(x)))
    after = apply("fold_batch_norms", with_offset)
    assert ops(after)["AddV2"] == 1
    assert_same_numbers(with_offset, after, _X)
    before = _graph(lambda x: layer(x * _SCALE))
    assert ops(apply("fold_batch_norms", before))["Mul"] == 0
    assert_same_numbers(before, apply("fold_batch_norms", before), _X)


def _pool(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.max_pool2d(tf.nn.relu(x), 2, 2, "VALID")


def _average(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.avg_pool2d(x, 2, 2, "SAME")


def _mean(x: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_mean(x, [1, 2])


def _transpose(x: Any) -> Any:
    import tensorflow as tf

    return tf.transpose(x, [0, 2, 1, 3])


@pytest.mark.parametrize("between", [_pool, _average, _mean, _transpose, _padded], ids=lambda f: f.__name__)
def test_a_scale_goes_back_through_what_keeps_channels_apart(between: Layer) -> None:
    before = _graph(lambda x: between(_conv(x)) * numbers(6, seed=1, low=0.5))
    after = apply("fold_batch_norms", before)
    assert ops(after)["Mul"] == 0
    assert_same_numbers(before, after, _X)


def _square(x: Any, padding: str, size: int) -> Any:
    import tensorflow as tf

    return tf.nn.conv2d(x, numbers(size, size, 4, 4, seed=7), 1, padding)


def _depthwise_square(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.depthwise_conv2d(x, numbers(2, 2, 4, 1, seed=8), [1, 1, 1, 1], "SAME")


def _relu(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.relu(x)


def _fused(x: Any) -> Any:
    mean, variance = numbers(4, seed=5), numbers(4, seed=6, low=0.5, high=2)
    return tf1().nn.fused_batch_norm(x, _SCALE, _OFFSET, mean, variance, is_training=False)[0]


_STEPS: dict[str, Layer] = {
    "norm": _norm,
    "scale": lambda x: x * _OFFSET,
    "shift": lambda x: x - _OFFSET,
    "conv": lambda x: _square(x, "VALID", 1),
    "same": lambda x: _square(x, "SAME", 3),
    "depthwise": _depthwise_square,
    "relu": _relu,
    "pad": _padded,
    "average": _average,
    "fused": _fused,
    "twice": lambda x: x + _tanh(x),
}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(sorted(_STEPS)), min_size=1, max_size=7))
def test_any_chain_of_layers_keeps_its_numbers(names: list[str]) -> None:
    def of(x: Any) -> Any:
        for name in names:
            x = _STEPS[name](x)
        return x

    before = _graph(of)
    after = apply("serving flatten_atrous_conv pad_convolutions", before)
    assert len(after) <= len(before) + 2
    assert_same_numbers(before, after, _X, rtol=2e-5)
