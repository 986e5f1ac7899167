from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graphs import apply, assert_same_numbers, numbers, ops, reasons, result_of, tf1, view_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tfs.transforms.graph_view import GraphView
from tfs.transforms.passes.fold_batch_norms import FoldBatchNorms

Layer = Callable[[Any], Any]


def _conv2d(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.conv2d(x, numbers(3, 3, 2, 4), strides=1, padding="SAME")


def _depthwise(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.depthwise_conv2d(x, numbers(3, 3, 2, 2), strides=[1, 1, 1, 1], padding="VALID")


def _transposed(x: Any) -> Any:
    import tensorflow as tf

    shape = tf.concat([tf.shape(x)[:1], [12, 12, 4]], 0)
    return tf.nn.conv2d_transpose(x, numbers(3, 3, 4, 2), shape, strides=2)


def _matmul(x: Any) -> Any:
    import tensorflow as tf

    return tf.matmul(tf.reshape(x, [-1, 72]), numbers(72, 4))


def _matmul_transposed(x: Any) -> Any:
    import tensorflow as tf

    return tf.matmul(tf.reshape(x, [-1, 72]), numbers(4, 72), transpose_b=True)


def _conv3d(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.conv3d(x[:, None], numbers(1, 3, 3, 2, 4), strides=[1] * 5, padding="VALID")


def _einsum(x: Any) -> Any:
    import tensorflow as tf

    return tf.raw_ops.Einsum(inputs=[x, tf.constant(numbers(4, 2))], equation="bhwi,oi->bhwo")


def _batch_matmul(x: Any) -> Any:
    import tensorflow as tf

    return tf.raw_ops.BatchMatMulV2(x=x, y=numbers(2, 4))


def _conv1d(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.conv1d(x[:, 0], numbers(3, 2, 4), stride=1, padding="SAME")


def _atrous(x: Any) -> Any:
    import tensorflow as tf

    spread = tf.space_to_batch(x, [2, 2], [[2, 2], [2, 2]])
    return tf.batch_to_space(tf.nn.conv2d(spread, numbers(3, 3, 2, 4), 1, "VALID"), [2, 2], [[0, 0], [0, 0]])


def _two_parts(x: Any) -> Any:
    import tensorflow as tf

    parts = [tf.nn.conv2d(x, numbers(1, 1, 2, n, seed=n), 1, "SAME") for n in (1, 2, 1)]
    return tf.concat(parts, -1)


_LAYERS = {
    "Conv2D": _conv2d,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed,
    "MatMul": _matmul,
    "MatMul with transpose_b": _matmul_transposed,
    "Conv3D": _conv3d,
    "Einsum": _einsum,
    "BatchMatMulV2": _batch_matmul,
    "Conv1D": _conv1d,
    "BatchToSpaceND": _atrous,
    "ConcatV2": _two_parts,
}
_SCALE, _OFFSET, _BIAS = numbers(4, seed=1, low=0.5), numbers(4, seed=2), numbers(4, seed=3)
_X = {"x": numbers(2, 6, 6, 2, seed=9)}


def _graph(of: Callable[[Any], Any], shape: tuple[int | None, ...] = (None, 6, 6, 2)) -> GraphView:
    def build() -> None:
        import tensorflow as tf

        tf.identity(of(tf1().placeholder(tf.float32, shape, name="x")), name="y")

    return apply("fold_constants", view_of(build))


@pytest.mark.parametrize("layer", _LAYERS.values(), ids=_LAYERS)
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias between"])
def test_scale_and_offset_are_folded_into_kernel_and_bias(layer: Layer, bias: bool) -> None:
    import tensorflow as tf

    def of(x: Any) -> Any:
        y = layer(x)
        y = tf.nn.bias_add(y, _BIAS) if bias else y
        return y * _SCALE + _OFFSET

    before = _graph(of)
    after = apply("fold_batch_norms", before)
    assert ops(before)["Mul"] == 1 + ops(after)["Mul"]
    assert_same_numbers(before, after, _X)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (1, 1, 1, 4), (1,), ()])
@pytest.mark.parametrize("left", [False, True])
def test_the_factor_may_stand_on_either_side_and_have_leading_ones(shape: tuple[int, ...], left: bool) -> None:
    factor = _SCALE[: int(np.prod(shape))].reshape(shape)
    before = _graph(lambda x: factor * _conv2d(x) if left else _conv2d(x) * factor)
    after = apply("fold_batch_norms", before)
    assert ops(after)["Mul"] == 0
    assert_same_numbers(before, after, _X)


def test_an_offset_behind_a_convolution_becomes_its_bias() -> None:
    before = _graph(lambda x: _conv2d(x) * _SCALE + _OFFSET.reshape(1, 1, 1, 4))
    after = apply("fold_batch_norms", before)
    assert ops(after) == {"Placeholder": 1, "Const": 2, "Conv2D": 1, "BiasAdd": 1, "Identity": 1}
    assert_same_numbers(before, after, _X)


def test_a_subtracted_constant_is_scaled_too() -> None:
    before = _graph(lambda x: (_conv2d(x) - _OFFSET) * _SCALE - _BIAS)
    after = apply("fold_batch_norms", before)
    assert (ops(after)["Mul"], ops(after)["Sub"], ops(after)["BiasAdd"]) == (0, 0, 1)
    assert_same_numbers(before, after, _X)


def test_an_output_that_was_the_multiplication_keeps_its_name() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 6, 6, 2], name="x")
        tf.multiply(_conv2d(x), _SCALE, name="y")

    before = view_of(build)
    after = apply("fold_batch_norms", before)
    assert after.nodes["y"].op == "Conv2D"
    assert_same_numbers(before, after, _X)


def test_two_inputs_through_one_backbone_share_the_folded_kernel() -> None:
    """The endless loop of tensorflow issue 31877."""

    def build() -> None:
        import tensorflow as tf

        kernel, scale, offset = tf.constant(numbers(3, 3, 2, 4)), tf.constant(_SCALE), tf.constant(_OFFSET)
        one, two = (tf1().placeholder(tf.float32, [None, 6, 6, 2], name=name) for name in ("x", "z"))
        first, second = (tf.nn.conv2d(v, kernel, 1, "SAME") * scale + offset for v in (one, two))
        tf.subtract(first, tf.exp(second), name="y")

    before = view_of(build, fed=("x", "z"))
    after = apply("fold_batch_norms merge_duplicate_nodes", before)
    kernels = {after.nodes[name].input[1] for name in after.nodes if after.nodes[name].op == "Conv2D"}
    assert ops(after)["Conv2D"] == 2
    assert ops(after)["Mul"] == 0
    assert len(kernels) == 1
    assert_same_numbers(before, after, {"x": numbers(2, 6, 6, 2), "z": numbers(1, 6, 6, 2, seed=4)})


def test_one_kernel_with_two_scales_becomes_two_kernels() -> None:
    def build() -> None:
        import tensorflow as tf

        kernel = tf.constant(numbers(3, 3, 2, 4))
        x = tf1().placeholder(tf.float32, [None, 6, 6, 2], name="x")
        parts = [tf.nn.conv2d(x, kernel, stride, "SAME") * scale for stride, scale in ((1, _SCALE), (2, _BIAS))]
        tf.add(tf.reduce_sum(parts[0]), tf.reduce_sum(parts[1]), name="y")

    before = view_of(build)
    after = apply("fold_batch_norms", before)
    assert ops(after)["Mul"] == 0
    assert_same_numbers(before, after, _X)


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_other_float_types_keep_their_precision(dtype: str) -> None:
    def of(x: Any) -> Any:
        import tensorflow as tf

        kernel, scale = tf.cast(numbers(3, 3, 2, 4), dtype), tf.cast(_SCALE, dtype)
        return tf.nn.conv2d(tf.cast(x, dtype), kernel, 1, "SAME") * scale

    before = _graph(of)
    after = apply("fold_batch_norms", before)
    assert ops(after)["Mul"] == 0
    assert_same_numbers(before, after, _X, rtol={"float16": 4e-3, "float64": 1e-12, "bfloat16": 3e-2}[dtype])


def _read_twice(x: Any) -> Any:
    conv = _conv2d(x)
    return conv * _SCALE + conv


def _tanh_between(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.tanh(_conv2d(x)) * _SCALE


def _negative_behind_relu(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.relu(_conv2d(x)) * _OFFSET


def _another_axis(x: Any) -> Any:
    return _conv2d(x) * numbers(6, 1, seed=5)


def _wider(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.conv2d(x, numbers(3, 3, 2, 1), 1, "SAME") * _SCALE


def _more_axes(x: Any) -> Any:
    return _conv2d(x) * numbers(6, 4, seed=5)


def _computed_kernel(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.conv2d(x, tf.reshape(x[0, :3, :3, :], [3, 3, 2, 1]), 1, "SAME") * numbers(1, 1, 1, 1)


def _too_large(x: Any) -> Any:
    import tensorflow as tf

    half = tf.nn.conv2d(tf.cast(x, tf.half), tf.cast(numbers(3, 3, 2, 4) * 1000, tf.half), 1, "SAME")
    return half * tf.constant([100, 1, 1, 1], tf.half)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (_read_twice, "is also read by"),
        (_tanh_between, "its input comes from Tanh"),
        (_negative_behind_relu, "a negative factor cannot go through Relu"),
        (_another_axis, "its factor varies over another axis than the channels"),
        (_wider, "it does not have one factor for each channel"),
        (_more_axes, "its factor varies over more than one axis"),
        (_too_large, "is beyond the range of float16"),
    ],
)
def test_what_is_no_batch_norm_is_left_alone_with_a_reason(layer: Layer, reason: str) -> None:
    view = _graph(layer)
    result = result_of(FoldBatchNorms(), view)
    assert ops(result.view)["Mul"] == 1
    assert reason in reasons(result)


def test_a_computed_kernel_is_left_alone() -> None:
    assert ops(apply("fold_batch_norms", _graph(_computed_kernel)))["Mul"] == 1


def test_a_convolution_that_a_signature_reads_is_left_alone() -> None:
    def build() -> None:
        import tensorflow as tf

        conv = tf.identity(_conv2d(tf1().placeholder(tf.float32, [None, 6, 6, 2], name="x")))
        tf.identity(conv * _SCALE, name="y")

    view = view_of(build, fetched=("y", "Conv2D"))
    result = result_of(FoldBatchNorms(), view)
    assert "`Conv2D` is read by a signature" in reasons(result)
    assert result.view is view


def test_constants_that_are_not_folded_yet_are_named_as_the_reason() -> None:
    """Tensorflow issue 12740: nothing warned about the wrong order."""

    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 6, 6, 2], name="x")
        tf.identity(_conv2d(x) * tf.math.rsqrt(tf.constant(_SCALE)), name="y")

    view = view_of(build)
    assert "fold_constants has to come first" in reasons(result_of(FoldBatchNorms(), view))
    assert ops(apply("fold_constants fold_batch_norms", view))["Mul"] == 0


def test_control_inputs_of_the_multiplication_are_kept() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 6, 6, 2], name="x")
        conv = _conv2d(x)
        with tf.control_dependencies([tf.raw_ops.Assert(condition=x[0, 0, 0, 0] < 2, data=[x], name="check")]):
            scaled = conv * _SCALE
        tf.identity(scaled, name="y")

    after = apply("fold_batch_norms", view_of(build))
    assert ops(after)["Mul"] == 0
    assert "^check" in next(node for node in after if node.op == "Conv2D").input


_VALUES = st.floats(-4, 4, width=32)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(_VALUES, _VALUES, st.floats(2**-6, 8, width=32), _VALUES), min_size=3, max_size=3),
    st.sampled_from([1e-3, 1e-5]),
)
def test_folded_numbers_agree_for_any_statistics(statistics: list[tuple[float, ...]], epsilon: float) -> None:
    mean, beta, variance, gamma = (np.array(column, np.float32) for column in zip(*statistics, strict=True))

    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 5], name="x")
        dense = tf.nn.bias_add(tf.matmul(x, numbers(5, 3)), numbers(3, seed=7))
        tf.identity(tf.nn.batch_normalization(dense, mean, variance, beta, gamma, epsilon), name="y")

    before = view_of(build)
    after = apply("fold_constants fold_batch_norms", before)
    assert ops(after)["Mul"] == 0
    # Relative to what is added up, not to the sum: beta can cancel the rest.
    scale = np.abs(gamma) / np.sqrt(variance + epsilon)
    magnitude = float((scale * (10 + np.abs(mean))).max() + np.abs(beta).max())
    from graphs import run

    x = {"x": numbers(4, 5, seed=8)}
    np.testing.assert_allclose(run(after, x)["y"], run(before, x)["y"], rtol=0, atol=1e-6 * magnitude + 1e-12)
