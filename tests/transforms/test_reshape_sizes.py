"""The shape of a Reshape that is computed from sizes becomes a constant where that cannot change an answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graphs import apply, assert_same_numbers, numbers, ops, tf1, view_of

from tfs.transforms.graph_view import GraphView


def _graph(of: Callable[[Any], Any], shape: tuple[int | None, ...] = (None, 6, 4), *more: str) -> GraphView:
    def build() -> None:
        import tensorflow as tf

        others = [tf1().placeholder(tf.int32, [None] if name == "z" else [], name=name) for name in more]
        tf.identity(of(tf1().placeholder(tf.float32, shape, name="x"), *others), name="y")

    return view_of(build, fed=("x", *more))


def _rows(x: Any) -> Any:
    import tensorflow as tf

    return tf.shape(x)[0]


def _tf() -> Any:
    import tensorflow as tf

    return tf


@pytest.mark.parametrize(
    "of",
    [
        lambda x: _tf().reshape(x, [_rows(x), 24]),
        lambda x: _tf().reshape(_tf().tanh(x), [_rows(x), 3, 8]),
        lambda x: _tf().reshape(x, _tf().concat([[_rows(x) * 2], [3, 4]], 0)),
    ],
    ids=["flattened", "sizes of what it comes from", "arithmetic"],
)
def test_one_unknown_size_is_left_to_reshape(of: Callable[[Any], Any]) -> None:
    before = _graph(of)
    after = apply("fold_constants", before)
    assert not ops(after).keys() & {"Shape", "StridedSlice", "Pack", "ConcatV2", "Prod"}
    for rows in (1, 2, 5):
        assert_same_numbers(before, after, {"x": numbers(rows, 6, 4)})


@pytest.mark.parametrize(
    ("of", "shape", "more"),
    [
        (lambda x: _tf().reshape(x, [_rows(x), -1]), (None, None, 4), {}),
        (lambda x, n: _tf().reshape(x, [n, 24]), (None, 6, 4), {"n": np.int32(2)}),
        (lambda x, z: _tf().reshape(x, [_rows(z), 24]), (None, 6, 4), {"z": np.zeros(2, np.int32)}),
    ],
    ids=["two unknown sizes", "a number that is fed", "sizes of another input"],
)
def test_what_the_request_may_contradict_stays(
    of: Callable[..., Any], shape: tuple[int | None, ...], more: dict[str, Any]
) -> None:
    before = _graph(of, shape, *more)
    after = apply("fold_constants", before)
    assert ops(after)["Pack"] == 1
    assert_same_numbers(before, after, {"x": numbers(2, 6, 4), **more})
