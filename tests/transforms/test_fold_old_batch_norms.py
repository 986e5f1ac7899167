from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graphs import apply, assert_same_numbers, numbers, ops, reasons, result_of, run, tf1, view_of

from tfs.transforms.graph_view import GraphView
from tfs.transforms.passes.fold_old_batch_norms import FoldOldBatchNorms

_X = {"x": numbers(2, 6, 6, 2, seed=9)}
_GAMMA, _BETA, _MEAN = numbers(4, seed=1, low=0.5), numbers(4, seed=2), numbers(4, seed=3)
_VARIANCE = numbers(4, seed=4, low=0.2)


def _norm(x: Any, op: str = "FusedBatchNormV3", **options: Any) -> Any:
    import tensorflow as tf

    statistics = {"scale": _GAMMA, "offset": _BETA, "mean": _MEAN, "variance": _VARIANCE}
    settings = {"epsilon": 1e-3, "is_training": False, **options}
    return getattr(tf.raw_ops, op)(x=x, **statistics, **settings).y


def _conv(x: Any, seed: int = 0, width: int = 4) -> Any:
    import tensorflow as tf

    return tf.nn.conv2d(x, numbers(3, 3, 2, width, seed=seed), 1, "SAME")


def _graph(of: Callable[[Any], Any]) -> GraphView:
    def build() -> None:
        import tensorflow as tf

        tf.identity(of(tf1().placeholder(tf.float32, [None, 6, 6, 2], name="x")), name="y")

    return view_of(build)


@pytest.mark.parametrize("op", ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"])
@pytest.mark.parametrize("epsilon", [1e-4, 1e-2])
def test_a_fused_batch_norm_behind_a_convolution_becomes_its_bias(op: str, epsilon: float) -> None:
    before = _graph(lambda x: _norm(_conv(x), op, epsilon=epsilon))
    after = apply("fold_old_batch_norms", before)
    assert {op: n for op, n in ops(after).items() if op != "Const"} == {
        "Placeholder": 1,
        "Conv2D": 1,
        "BiasAdd": 1,
        "Identity": 1,
    }
    assert_same_numbers(before, after, _X)


@pytest.mark.parametrize("scale_after", [True, False])
def test_the_oldest_batch_norm_is_folded(scale_after: bool) -> None:
    def build() -> None:
        import tensorflow as tf

        graph = tf1().get_default_graph()
        conv = _conv(tf1().placeholder(tf.float32, [None, 6, 6, 2], name="x"))
        parts = [tf.constant(value) for value in (_MEAN, _VARIANCE, _BETA, _GAMMA)]
        attributes = {"variance_epsilon": 1e-3, "scale_after_normalization": scale_after}
        with graph.as_default():
            graph._set_graph_def_versions = None
        norm = tf1().NodeDef(
            op="BatchNormWithGlobalNormalization", name="norm", input=[t.op.name for t in (conv, *parts)]
        )
        norm.attr["T"].type = 1
        norm.attr["variance_epsilon"].f = attributes["variance_epsilon"]
        norm.attr["scale_after_normalization"].b = bool(attributes["scale_after_normalization"])
        _ADDED.append(norm)

    _ADDED: list[Any] = []
    view = view_of(build, fetched=("Conv2D",))
    with_norm = GraphView([*view, *_ADDED], type(view.roots)(view.roots.fed, frozenset({_tensor("norm")})))
    after = apply("fold_old_batch_norms", with_norm)
    conv = run(view, _X)["Conv2D"]
    scale = (_GAMMA if scale_after else 1) / np.sqrt(_VARIANCE + 1e-3)
    np.testing.assert_allclose(run(after, _X)["norm"], (conv - _MEAN) * scale + _BETA, rtol=1e-4, atol=1e-5)


def _tensor(name: str) -> Any:
    from tfs.transforms.graph_view import Tensor

    return Tensor.parse(name)


def test_a_bias_between_is_scaled_and_joined() -> None:
    import tensorflow as tf

    before = _graph(lambda x: _norm(tf.nn.bias_add(_conv(x), numbers(4, seed=8))))
    after = apply("fold_old_batch_norms", before)
    assert (ops(after)["BiasAdd"], ops(after)["FusedBatchNormV3"]) == (1, 0)
    assert_same_numbers(before, after, _X)


@pytest.mark.parametrize("axis", [3, -1])
def test_joined_convolutions_each_get_their_share(axis: int) -> None:
    import tensorflow as tf

    before = _graph(lambda x: _norm(tf.concat([_conv(x, 1, 1), _conv(x, 2, 2), _conv(x, 3, 1)], axis)))
    after = apply("fold_old_batch_norms", before)
    assert ops(after)["FusedBatchNormV3"] == 0
    assert ops(after)["Mul"] == 0
    assert_same_numbers(before, after, _X)


def test_convolutions_joined_along_another_axis_all_get_all_of_it() -> None:
    import tensorflow as tf

    before = _graph(lambda x: _norm(tf.concat([_conv(x, 1), _conv(x, 2)], 1)))
    after = apply("fold_old_batch_norms", before)
    assert (ops(after)["FusedBatchNormV3"], ops(after)["Mul"]) == (0, 0)
    assert_same_numbers(before, after, _X)


def test_an_atrous_convolution_is_folded() -> None:
    """Tensorflow issues 13990, 50172."""
    import tensorflow as tf

    def of(x: Any) -> Any:
        spread = tf.space_to_batch(x, [2, 2], [[2, 2], [2, 2]])
        conv = tf.nn.conv2d(spread, numbers(3, 3, 2, 4), 1, "VALID")
        return _norm(tf.batch_to_space(conv, [2, 2], [[0, 0], [0, 0]]))

    before = _graph(of)
    after = apply("fold_old_batch_norms", before)
    assert (ops(after)["FusedBatchNormV3"], ops(after)["Mul"]) == (0, 0)
    assert_same_numbers(before, after, _X)


def test_channels_may_come_first() -> None:
    """Tensorflow issues 27522, 17974."""
    import tensorflow as tf

    before = _graph(lambda x: _norm(tf.transpose(tf.tanh(_conv(x)), [0, 3, 1, 2]), data_format="NCHW"))
    after = apply("fold_old_batch_norms", before)
    # The activation keeps the convolution out of reach; what is left has to work along axis 1.
    assert (ops(after)["FusedBatchNormV3"], ops(after)["Mul"], ops(after)["AddV2"]) == (0, 1, 1)
    transposed = run(_graph(lambda x: tf.transpose(_norm(tf.tanh(_conv(x))), [0, 3, 1, 2])), _X)["y"]
    np.testing.assert_allclose(run(after, _X)["y"], transposed, rtol=1e-4, atol=1e-5)
    assert ops(before)["FusedBatchNormV3"] == 1


def test_a_convolution_with_channels_first_gets_a_bias_with_channels_first() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 2, 6, 6], name="x")
        conv = tf.nn.conv2d(x, numbers(3, 3, 2, 4), 1, "SAME", data_format="NCHW")
        tf.identity(_norm(conv, data_format="NCHW"), name="y")

    after = apply("fold_old_batch_norms", view_of(build))
    bias = next(node for node in after if node.op == "BiasAdd")
    assert bias.attr["data_format"].s == b"NCHW"
    kernel = after.constant(_tensor(next(node for node in after if node.op == "Conv2D").input[1]))
    assert kernel is not None
    np.testing.assert_allclose(kernel, numbers(3, 3, 2, 4) * (_GAMMA / np.sqrt(_VARIANCE + 1e-3)), rtol=1e-6)


def test_without_a_convolution_it_becomes_mul_and_add() -> None:
    import tensorflow as tf

    before = _graph(lambda x: _norm(tf.tanh(_conv(x))))
    after = apply("fold_old_batch_norms", before)
    assert (ops(after)["FusedBatchNormV3"], ops(after)["Mul"], ops(after)["AddV2"]) == (0, 1, 1)
    assert_same_numbers(before, after, _X)


def test_stacked_batch_norms_all_go() -> None:
    before = _graph(lambda x: _norm(_norm(_norm(_conv(x)))))
    after = apply("fold_old_batch_norms", before)
    assert (ops(after)["FusedBatchNormV3"], ops(after)["Mul"], ops(after)["BiasAdd"]) == (0, 0, 1)
    assert_same_numbers(before, after, _X)


def test_one_backbone_for_two_inputs_comes_to_an_end() -> None:
    """Tensorflow issue 31877."""

    def build() -> None:
        import tensorflow as tf

        inputs = [tf1().placeholder(tf.float32, [None, 6, 6, 2], name=name) for name in ("x", "z")]
        kernel = tf.constant(numbers(3, 3, 2, 4))
        shared = [tf.constant(value) for value in (_GAMMA, _BETA, _MEAN, _VARIANCE)]
        outs = [
            tf.raw_ops.FusedBatchNormV3(
                x=tf.nn.conv2d(v, kernel, 1, "SAME"),
                scale=shared[0],
                offset=shared[1],
                mean=shared[2],
                variance=shared[3],
                is_training=False,
            ).y
            for v in inputs
        ]
        tf.subtract(outs[0], outs[1], name="y")

    before = view_of(build, fed=("x", "z"))
    after = apply("fold_old_batch_norms merge_duplicate_nodes", before)
    assert (ops(after)["FusedBatchNormV3"], ops(after)["Conv2D"], ops(after)["Const"]) == (0, 2, 2)
    assert_same_numbers(before, after, {"x": numbers(1, 6, 6, 2), "z": numbers(1, 6, 6, 2, seed=5)})


def test_training_mode_is_left_alone_with_a_reason() -> None:
    """tf2onnx issue 1700."""
    import tensorflow as tf

    empty = tf.constant([], tf.float32)

    def of(x: Any) -> Any:
        return tf.raw_ops.FusedBatchNormV3(
            x=_conv(x), scale=_GAMMA, offset=_BETA, mean=empty.numpy(), variance=empty.numpy(), is_training=True
        ).y

    result = result_of(FoldOldBatchNorms(), _graph(of))
    assert "it is in training mode" in reasons(result)
    assert ops(result.view)["FusedBatchNormV3"] == 1


def test_statistics_that_are_read_keep_the_batch_norm() -> None:
    def of(x: Any) -> Any:
        import tensorflow as tf

        norm = tf.raw_ops.FusedBatchNormV3(
            x=_conv(x), scale=_GAMMA, offset=_BETA, mean=_MEAN, variance=_VARIANCE, is_training=False
        )
        return norm.y + norm.batch_mean

    result = result_of(FoldOldBatchNorms(), _graph(of))
    assert "an output other than its first is read" in reasons(result)


def test_statistics_that_are_not_folded_yet_are_named_as_the_reason() -> None:
    def of(x: Any) -> Any:
        import tensorflow as tf

        return tf.raw_ops.FusedBatchNormV3(
            x=_conv(x), scale=tf.exp(_GAMMA), offset=_BETA, mean=_MEAN, variance=_VARIANCE, is_training=False
        ).y

    assert "its gamma is computed from constants: fold_constants" in reasons(result_of(FoldOldBatchNorms(), _graph(of)))


def test_half_precision_statistics_are_cast_once() -> None:
    import tensorflow as tf

    before = _graph(lambda x: _norm(tf.cast(_conv(x), tf.half)))
    after = apply("fold_old_batch_norms", before)
    assert ops(after)["FusedBatchNormV3"] == 0
    assert_same_numbers(before, after, _X, rtol=4e-3)
