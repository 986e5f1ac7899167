"""Batch norms behind and in front of what takes parts of a tensor, repeats or stacks it: Cropping, UpSampling."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graphs import apply, assert_same_numbers, numbers, ops, tf1, view_of
from network_models import save_keras

from tfs.savedmodel.reading import meta_graph, read_saved_model
from tfs.transforms.graph_view import GraphView
from tfs.transforms.optimizing import optimize

_X = {"x": numbers(2, 8, 8, 4)}
Between = Callable[[Any], Any]


def _tf() -> Any:
    import tensorflow as tf

    return tf


def _conv(x: Any) -> Any:
    return _tf().nn.bias_add(_tf().nn.conv2d(x, numbers(3, 3, 4, 4), 1, "VALID"), numbers(4, seed=1))


def _norm(x: Any) -> Any:
    return x * numbers(4, seed=2, low=0.5) + numbers(4, seed=3)


def _graph(of: Callable[[Any], Any]) -> GraphView:
    def build() -> None:
        import tensorflow as tf

        tf.tanh(of(tf1().placeholder(tf.float32, [None, 8, 8, 4], name="x")), name="y")

    return apply("fold_constants", view_of(build))


_KEPT: dict[str, Between] = {
    "slice": lambda x: x[:, 1:-1, 2:],
    "slice of one row": lambda x: x[:, 3],
    "slice with all channels": lambda x: x[:, ::2, :, :],
    "tile": lambda x: _tf().tile(x, [1, 2, 1, 1]),
    "repeat": lambda x: _tf().repeat(x, 2, 1),
}
_PARTS: dict[str, Between] = {
    "some channels": lambda x: _tf().tile(x[..., :2], [1, 1, 1, 2]),
    "channels in reverse": lambda x: x[:, :, :, ::-1],
    "channels repeated": lambda x: _tf().tile(x, [1, 1, 1, 2])[..., :4],
    "an axis taken in place of the channels": lambda x: _tf().transpose(x[:, :4], [0, 2, 3, 1])[:, :, 0, :],
}


@pytest.mark.parametrize("between", _KEPT.values(), ids=_KEPT)
def test_a_batch_norm_behind_goes_through_to_the_kernel(between: Between) -> None:
    before = _graph(lambda x: _norm(between(_conv(x))))
    after = apply("fold_batch_norms", before)
    assert (ops(after)["Mul"], ops(after)["AddV2"], ops(after)["BiasAdd"]) == (0, 0, 1)
    assert_same_numbers(before, after, _X)


@pytest.mark.parametrize("axis", [0, 1, 3])
def test_a_batch_norm_behind_a_stack_goes_into_each_part(axis: int) -> None:
    before = _graph(lambda x: _norm(_tf().stack([_conv(x), _conv(x * x)], axis)))
    after = apply("fold_batch_norms", before)
    assert (ops(after)["Mul"], ops(after)["AddV2"], ops(after)["BiasAdd"]) == (1, 0, 2)  # x * x
    assert_same_numbers(before, after, _X)


def test_a_factor_along_the_axis_that_a_stack_adds_stays() -> None:
    before = _graph(lambda x: _tf().stack([_conv(x), _conv(x * x)], -1) * numbers(2, low=0.5))
    assert ops(apply("fold_batch_norms", before))["Mul"] == 2


@pytest.mark.parametrize("between", _PARTS.values(), ids=_PARTS)
def test_a_batch_norm_behind_other_channels_stays(between: Between) -> None:
    before = _graph(lambda x: _norm(between(_conv(x))))
    after = apply("fold_batch_norms", before)
    assert ops(after)["Mul"] == 1
    assert_same_numbers(before, after, _X)


@pytest.mark.parametrize("between", [_KEPT["slice"], _KEPT["tile"]], ids=["slice", "tile"])
def test_a_batch_norm_in_front_goes_through_to_the_kernel(between: Between) -> None:
    before = _graph(lambda x: _conv(between(_norm(x))))
    after = apply("fold_batch_norms", before)
    assert (ops(after)["Mul"], ops(after)["AddV2"], ops(after)["BiasAdd"]) == (0, 0, 1)
    assert_same_numbers(before, after, _X)


def test_a_batch_norm_in_front_of_reversed_channels_stays() -> None:
    before = _graph(lambda x: _conv(_PARTS["channels in reverse"](_norm(x))))
    after = apply("fold_batch_norms", before)
    assert (ops(after)["Mul"], ops(after)["AddV2"]) == (1, 1)
    assert_same_numbers(before, after, _X)


def _unstacked(x: Any, order: list[int]) -> Any:
    rows = _tf().transpose(_tf().transpose(_tf().stack([_conv(x), _conv(x)], 1), [1, 0, 2, 3, 4]), order)
    return _tf().stack([_norm(rows[index]) for index in range(2)], 1)


def test_a_batch_norm_of_each_element_of_a_stack_is_folded() -> None:
    before = _graph(lambda x: _unstacked(x, [0, 1, 2, 3, 4]))
    after = apply("fold_batch_norms", before)
    assert not ops(after).keys() & {"Mul", "StridedSlice"}
    assert ops(after)["Pack"] == 1
    assert_same_numbers(before, after, _X)


@pytest.mark.parametrize("order", [[1, 0, 2, 3, 4], [0, 1, 3, 2, 4]], ids=["another axis first", "axes exchanged"])
def test_elements_that_are_not_what_was_stacked_stay(order: list[int]) -> None:
    before = _graph(lambda x: _unstacked(x, order))
    after = apply("fold_batch_norms", before)
    assert ops(after)["StridedSlice"] == 2
    assert_same_numbers(before, after, _X)


def test_keras_layers_between_convolution_and_batch_norm(tmp_path: Path) -> None:
    import keras

    k = keras.layers
    images = [k.Conv2D(4, 3), k.UpSampling2D(2), k.BatchNormalization(), k.ReLU(), k.Cropping2D(1), k.Conv2D(4, 3)]
    vector = [k.Cropping2D(1), k.BatchNormalization(), k.ReLU(), k.Flatten(), k.Dense(8), k.RepeatVector(2)]
    rows = [k.BatchNormalization(), k.ReLU(), k.Reshape((2, 2, 4)), k.TimeDistributed(k.Conv1D(4, 1, groups=2))]
    layers = [*images, *vector, *rows, k.BatchNormalization(), k.ReLU()]
    save_keras(keras.Sequential([keras.Input((6, 6, 2)), *layers]), tmp_path / "1")
    optimize(tmp_path / "1", output=tmp_path / "2")
    graph = meta_graph(read_saved_model(tmp_path / "2"), tmp_path / "2").graph_def
    assert "Mul" not in {node.op for node in graph.node}
