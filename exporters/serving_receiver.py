"""How requests reach an Estimator's features: what people write as a `serving_input_receiver_fn`, described in YAML."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tfs.exporters.feature_spec import Feature, convert_features, parsing_dictionary
from tfs.exporters.sources.python_objects import call_factory, load_object
from tfs.savedmodel.errors import TfsError

__all__ = ["ReceivedFeatures", "Receiver", "check_all_read", "receive"]

_EXAMPLES = "examples"  # the name of the input and the placeholder that tf.estimator's own receivers have
_PLACEHOLDER = "input_example_tensor"
_RAW = "raw"


class Receiver(BaseModel):
    """What an Estimator's `model_fn` gets as its features, and how clients send them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["parsing", "raw", "both"] = Field(
        default="parsing",
        description="Clients send serialized tf.train.Examples, or one tensor per feature; both adds to the signatures "
        "on examples those on tensors, as `raw:NAME`.",
    )
    features: dict[str, Feature] = Field(default={}, description="Feature name -> what it is.")
    feature_columns: str | None = Field(
        default=None, description="In place of features: pkg.mod:object, a list of feature columns or a function of it."
    )

    @model_validator(mode="after")
    def _one_description(self) -> "Receiver":
        if bool(self.features) == (self.feature_columns is not None):
            raise ValueError("it needs either features or feature_columns")
        return self


@dataclass(frozen=True)
class ReceivedFeatures:
    """The tensors of a receiver in the default graph.

    Attributes:
        features: what the `model_fn` gets.
        inputs: what clients feed, by the names that signatures give them.
        alternatives: further groups of tensors that they may feed instead, by the prefix of their signatures.
    """

    features: dict[str, Any]
    inputs: dict[str, Any]
    alternatives: dict[str, dict[str, Any]]


def receive(receiver: Receiver) -> ReceivedFeatures:
    """Add the placeholders of a receiver, and the parsing of examples, to the default graph.

    Raises:
        TfsError: the feature columns cannot be loaded or are none, or a feature cannot be fed as one dense tensor.
    """
    import tensorflow as tf

    parsers = parsing_dictionary(receiver.features)
    if receiver.feature_columns is not None:
        parsers = _parsers_of_columns(receiver.feature_columns)
    if receiver.kind == "raw":
        raw = {
            name: tf.compat.v1.placeholder(dtype, shape, name=name)
            for name, (dtype, shape) in _dense(parsers, receiver).items()
        }
        return ReceivedFeatures(raw, raw, {})

    serialized = tf.compat.v1.placeholder(tf.string, [None], name=_PLACEHOLDER)
    features = convert_features(tf.io.parse_example(serialized, parsers), receiver.features)
    if receiver.kind == "parsing":
        return ReceivedFeatures(features, {_EXAMPLES: serialized}, {})
    # Fed past the parsing, which then does not run.
    raw = {
        name: tf.compat.v1.placeholder_with_default(_padded(features[name]), shape, name=name)
        for name, (_, shape) in _dense(parsers, receiver).items()
    }
    return ReceivedFeatures(raw, {_EXAMPLES: serialized}, {_RAW: raw})


def check_all_read(receiver: Receiver, received: ReceivedFeatures, signatures: Mapping[str, Any]) -> None:
    """Check that the model reads each feature that the receiver names.

    Args:
        receiver: the description.
        received: what the model has got.
        signatures: the SignatureDefs that came out of it; a feature may be an output as it is.

    Raises:
        TfsError: a feature is not read, as one whose name is misspelt.
    """
    import tensorflow as tf

    outputs = {info.name for signature in signatures.values() for info in signature.outputs.values()}
    for name in receiver.features:
        parts = tf.nest.flatten(received.features[name], expand_composites=True)
        if not any(part.consumers() or part.name in outputs for part in parts):
            raise TfsError(f"the model does not read the feature `{name}`", "leave it out of the receiver")


def _parsers_of_columns(name: str) -> dict[str, Any]:
    import tensorflow as tf

    columns = load_object(name)
    if callable(columns) and not isinstance(columns, tuple):  # a feature column is a named tuple
        columns = call_factory(columns, name)
    if isinstance(columns, Mapping):
        columns = list(columns.values())
    try:
        parsers: dict[str, Any] = tf.feature_column.make_parse_example_spec(columns)
    except (TypeError, ValueError) as error:
        raise TfsError(f"`{name}` is no list of feature columns: {error}") from error
    return parsers


def _dense(parsers: Mapping[str, Any], receiver: Receiver) -> dict[str, tuple[Any, list[int | None]]]:
    """Return dtype and shape of each feature as one dense tensor.

    Feature columns of categories take any number of them as a dense tensor too, filled up with empty strings or -1.
    """
    import tensorflow as tf

    dense: dict[str, tuple[Any, list[int | None]]] = {}
    for name, parser in parsers.items():
        declared = receiver.features.get(name)
        if isinstance(parser, tf.io.FixedLenFeature):
            dense[name] = (tf.as_dtype(declared.dtype) if declared else parser.dtype, [None, *parser.shape])
        elif declared is None and isinstance(parser, tf.io.VarLenFeature) and parser.dtype in (tf.string, tf.int64):
            dense[name] = (parser.dtype, [None, None])
        else:
            raise TfsError(
                f"feature `{name}` has no fixed length: clients cannot send it as one tensor", "receiver kind `parsing`"
            )
    return dense


def _padded(feature: Any) -> Any:
    import tensorflow as tf

    if not isinstance(feature, tf.sparse.SparseTensor):
        return feature
    return tf.sparse.to_dense(feature, "" if feature.dtype == tf.string else -1)
