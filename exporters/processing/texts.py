"""Steps that change texts, tensors of UTF-8 strings of any shape."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from tfs.exporters.processing.optional import import_tensorflow_text
from tfs.exporters.processing.registry import step
from tfs.savedmodel.errors import TfsError

__all__ = ["lower", "normalize_utf8", "regex_replace", "strip"]

_Call = Callable[[Any], Any]


@step()
def lower() -> _Call:
    """Make letters small, those of other alphabets too."""
    import tensorflow as tf

    return partial(tf.strings.lower, encoding="utf-8")


@step()
def strip() -> _Call:
    """Drop white space at both ends."""
    import tensorflow as tf

    strip_ends: _Call = tf.strings.strip
    return strip_ends


@step()
def normalize_utf8(*, form: Literal["NFC", "NFKC", "NFD", "NFKD"] = "NFKC") -> _Call:
    """Bring characters into one of Unicode's normal forms; NFKC makes full-width letters and digits plain ones."""
    text_ops = import_tensorflow_text()
    return lambda text: text_ops.normalize_utf8(text, form)


@step()
def regex_replace(*, pattern: str, replacement: str = "") -> _Call:
    r"""Put `replacement` in place of each match of an RE2 pattern; \1 in it is the first group."""
    import tensorflow as tf

    def replace(text: Any) -> Any:
        return tf.strings.regex_replace(text, pattern, replacement)

    try:
        replace(tf.constant(""))
    except tf.errors.InvalidArgumentError as error:
        raise TfsError(f"pattern `{pattern}` is no RE2 expression: {error.message}") from error
    return replace
