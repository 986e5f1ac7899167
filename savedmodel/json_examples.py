"""`tf.train.Example` protos and JSON, by the rules of the REST API: `{"age": 41, "words": ["a", {"b64": "/w=="}]}`."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import example_pb2

__all__ = ["example_from_json", "json_from_example"]

_B64 = "b64"


def example_from_json(value: Any) -> Any:
    """Return the `tf.train.Example` that an object of features means.

    Strings and `{"b64": ...}` are bytes, whole numbers and true/false int64, other numbers (also 2.0) floats.

    Raises:
        TfsError: it is no object, or a feature has values of several or other kinds; the message names it.
    """
    if not isinstance(value, dict):
        raise TfsError("an example is no JSON object", 'it looks like {"age": 41, "words": ["good", "bad"]}')
    example = example_pb2.Example()
    for name, given in value.items():
        values = given if isinstance(given, list) else [given]
        feature = example.features.feature[name]
        kinds = {_kind(name, item) for item in values}
        if len(kinds) > 1:
            raise TfsError(f"feature `{name}` has values of several kinds: {', '.join(sorted(kinds))}")
        try:
            for kind in kinds:
                getattr(feature, kind).value.extend(_PLAIN[kind](name, item) for item in values)
        except ValueError as error:
            raise TfsError(f"feature `{name}`: {error}") from error
    return example


def json_from_example(example: Any) -> dict[str, Any]:
    """Return an example as an object of lists; floats keep their point, by which the REST API knows them."""
    features = {}
    for name, feature in sorted(example.features.feature.items()):
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value) if kind else []
        features[name] = [_text(item) for item in values] if kind == "bytes_list" else values
    return features


def _kind(name: str, item: Any) -> str:
    if isinstance(item, str) or (isinstance(item, dict) and list(item) == [_B64]):
        return "bytes_list"
    if isinstance(item, int):
        return "int64_list"
    if isinstance(item, float):
        return "float_list"
    raise TfsError(f"feature `{name}`: {item!r} is neither a string nor a number")


def _bytes(name: str, item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode()
    try:
        return base64.b64decode(item[_B64], validate=True)
    except (TypeError, binascii.Error) as error:
        raise TfsError(f"feature `{name}`: `{item[_B64]}` is no base64") from error


def _text(item: bytes) -> Any:
    try:
        return item.decode()
    except UnicodeDecodeError:
        return {_B64: base64.b64encode(item).decode()}


_PLAIN: dict[str, Callable[[str, Any], Any]] = {
    "bytes_list": _bytes,
    "int64_list": lambda _, item: int(item),  # protobuf takes no booleans
    "float_list": lambda _, item: item,
}
