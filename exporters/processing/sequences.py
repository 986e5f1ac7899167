"""Steps on rows of different lengths: ragged, or dense where all are of one length."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from tfs.exporters.processing.registry import step

__all__ = ["join", "pad", "rename", "truncate"]

_Length = Annotated[int, Field(ge=1)]


@step()
def truncate(*, length: _Length, keep: Literal["start", "end"] = "start") -> Callable[[Any], Any]:
    """Keep at most `length` values of each row, from its start or its end."""
    return lambda rows: _ragged(rows)[:, :length] if keep == "start" else _ragged(rows)[:, -length:]


@step()
def pad(*, length: _Length, value: int | float | str | None = None, side: Literal["left", "right"] = "right") -> Any:
    """Fill each row up to `length` values, at its left or right end: a dense tensor [n, length].

    It is filled with `value`, or else with zeros or empty strings.

    Of a longer row the first `length` values stay; `truncate` before it keeps others.
    """
    import tensorflow as tf

    def filled(rows: Any) -> Any:
        rows = _ragged(rows)[:, :length]
        filling = tf.zeros([], rows.dtype) if value is None else tf.constant(value, rows.dtype)
        if side == "left":
            missing = length - rows.row_lengths()
            values = tf.fill([tf.reduce_sum(missing)], filling)
            rows = tf.concat([tf.RaggedTensor.from_row_lengths(values, missing, validate=False), rows], axis=1)
        return rows.to_tensor(default_value=filling, shape=[None, length])

    return filled


@step(together=True, replaces=False)
def join(*, separator: int | str | None = None, start: int | str | None = None, end: int | str | None = None) -> Any:
    """Put the rows one behind the other, with `separator` between them, after `start` and before `end`: one value."""
    import tensorflow as tf

    def joined(*several: Any) -> Any:
        rows = [_ragged(one) for one in several]

        def column(token: int | str) -> Any:
            one_each = tf.fill([rows[0].nrows(), 1], tf.constant(token, rows[0].dtype))
            return tf.RaggedTensor.from_tensor(one_each)

        parts = [] if start is None else [column(start)]
        for number, one in enumerate(rows):
            parts += [column(separator), one] if number and separator is not None else [one]
        return tf.concat(parts if end is None else [*parts, column(end)], axis=1)

    return joined


@step(replaces=False, consumes=True)
def rename() -> Callable[[Any], Any]:
    """Give values other names."""
    return lambda value: value


def _ragged(rows: Any) -> Any:
    import tensorflow as tf

    if isinstance(rows, tf.RaggedTensor):
        return rows.with_row_splits_dtype(tf.int64)  # the parser of examples makes int32, tokenizers int64
    return tf.RaggedTensor.from_sparse(rows) if isinstance(rows, tf.SparseTensor) else tf.RaggedTensor.from_tensor(rows)
