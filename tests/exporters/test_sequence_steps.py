"""Steps on rows of different lengths, against the same on lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfs.exporters.processing.registry import STEPS

_TOKENS = st.integers(1, 9)
_ROWS = st.lists(st.lists(_TOKENS, max_size=6), min_size=1, max_size=4)
_EXAMPLES = settings(max_examples=25, deadline=None)


def _ragged(rows):
    import tensorflow as tf

    return tf.ragged.constant(rows, dtype=tf.int32, ragged_rank=1, row_splits_dtype=tf.int64)


@_EXAMPLES
@given(rows=_ROWS, length=st.integers(1, 7), value=st.integers(-1, 1), side=st.sampled_from(["left", "right"]))
def test_rows_are_filled_up_or_cut_to_one_length(rows, length, value, side):
    filled = STEPS["pad"].make(length=length, value=value, side=side)(_ragged(rows))
    expected = []
    for row in rows:
        filling = [value] * (length - len(row))
        expected.append(filling + row[:length] if side == "left" else row[:length] + filling)
    assert filled.shape.as_list() == [len(rows), length]
    assert filled.numpy().tolist() == expected


@_EXAMPLES
@given(rows=_ROWS, length=st.integers(1, 7), keep=st.sampled_from(["start", "end"]))
def test_rows_keep_their_start_or_end(rows, length, keep):
    cut = STEPS["truncate"].make(length=length, keep=keep)(_ragged(rows))
    assert cut.to_list() == [row[:length] if keep == "start" else row[-length:] for row in rows]


@_EXAMPLES
@given(
    pairs=st.lists(st.tuples(st.lists(_TOKENS, max_size=3), st.lists(_TOKENS, max_size=3)), min_size=1, max_size=4),
    separator=st.none() | st.integers(10, 12),
    start=st.none() | st.just(13),
    end=st.none() | st.just(14),
)
def test_rows_are_joined_with_tokens_between_and_around(pairs, separator, start, end):
    first, second = zip(*pairs, strict=True)
    joined = STEPS["join"].make(separator=separator, start=start, end=end)(_ragged(first), _ragged(second))
    one = [[token] if token is not None else [] for token in (start, separator, end)]
    assert joined.to_list() == [one[0] + left + one[1] + right + one[2] for left, right in pairs]


def test_rows_of_examples_are_joined_with_those_of_tokenizers():
    import tensorflow as tf

    parsed = _ragged([[1], []]).with_row_splits_dtype(tf.int32)
    joined = STEPS["join"].make(separator=0)(parsed, _ragged([[2, 3], [4]]))
    assert joined.to_list() == [[1, 0, 2, 3], [0, 4]]


def test_sparse_and_dense_rows_are_rows_too():
    import tensorflow as tf

    sparse = tf.sparse.from_dense([[1, 2, 0], [3, 0, 0]])
    pad = STEPS["pad"].make(length=4, side="left")
    assert pad(sparse).numpy().tolist() == [[0, 0, 1, 2], [0, 0, 0, 3]]
    assert pad(tf.constant([["a"], ["b"]])).numpy().tolist() == [[b"", b"", b"", b"a"], [b"", b"", b"", b"b"]]


def test_the_best_columns_are_kept_with_what_belongs_to_them():
    import tensorflow as tf

    scores = np.random.default_rng(1).permutation(20).reshape(4, 5).astype(np.float32)
    names = np.array([[f"{row}{column}" for column in range(5)] for row in range(4)], dtype=object)
    best, named = STEPS["top_k"].make(k=3)(tf.constant(scores), tf.constant(names))
    order = np.argsort(-scores, axis=1)[:, :3]
    np.testing.assert_array_equal(best, np.take_along_axis(scores, order, 1))
    assert named.numpy().astype(str).tolist() == np.take_along_axis(names, order, 1).tolist()


def test_one_best_of_labels_is_the_name_of_the_class(tmp_path):
    import tensorflow as tf

    (tmp_path / "labels.txt").write_bytes("näin\r\nein\n".encode())  # either line end
    names = STEPS["class_names"].make(labels=tmp_path / "labels.txt")
    scores = tf.constant([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    _, best = STEPS["top_k"].make(k=1)(scores, names.call(scores))
    assert best.numpy().tolist() == [[b"ein"], ["näin".encode()], [b"ein"]]


@pytest.mark.parametrize("content", [b"", b"one\n", b"one\ntwo\nthree"])
def test_a_label_file_of_another_length_is_refused(tmp_path, content):
    import tensorflow as tf

    from tfs.savedmodel.errors import TfsError

    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(TfsError, match=r"labels\.txt` (is empty|has \d lines, but there are 2 classes)"):
        STEPS["class_names"].make(labels=tmp_path / "labels.txt").call(tf.zeros([1, 2]))
