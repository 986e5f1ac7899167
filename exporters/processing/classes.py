"""Steps on the scores of classes, float [n, classes]."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tfs.exporters.processing.registry import Applied, step
from tfs.savedmodel.errors import TfsError

__all__ = ["class_names", "top_k"]


@step(replaces=False)
def class_names(*, labels: Path) -> Applied:
    """Make the names of the columns of scores, string [n, classes], from a file with one in each line.

    The file must have as many lines as there are columns.
    """
    import tensorflow as tf

    try:
        names = labels.read_bytes().splitlines()
    except OSError as error:
        raise TfsError(f"label file `{labels}` cannot be read: {error.strerror}") from error
    if not names:
        raise TfsError(f"label file `{labels}` is empty")
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    lines = tf.lookup.TextFileInitializer(str(labels), tf.int64, number, tf.string, line)
    table = tf.lookup.StaticHashTable(lines, default_value="")

    def names_of(scores: Any) -> Any:
        if scores.shape.rank != 2 or scores.shape[1] is None:
            raise TfsError(f"label file `{labels}`: the scores have shape {scores.shape}, not [n, {len(names)}]")
        if scores.shape[1] != len(names):
            raise TfsError(f"label file `{labels}` has {len(names)} lines, but there are {scores.shape[1]} classes")
        row = table.lookup(tf.range(len(names), dtype=tf.int64))
        return tf.tile(row[tf.newaxis], [tf.shape(scores)[0], 1])

    return Applied(names_of, (table,))


@step(together=True)
def top_k(*, k: Annotated[int, Field(ge=1)]) -> Callable[..., Any]:
    """Keep the `k` highest scores of each row, the highest first, and the same columns of the values after them."""
    import tensorflow as tf

    def best(scores: Any, *along: Any) -> Any:
        columns = scores.shape[-1]
        if columns is not None and columns < k:
            raise TfsError(f"there are no {k} best of {columns} columns")
        values, indices = tf.math.top_k(scores, k)
        return (values, *(tf.gather(one, indices, batch_dims=1) for one in along))

    return best
