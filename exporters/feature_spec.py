"""What a `tf.train.Example` holds for a model, as a recipe describes it, and how TensorFlow parses it.

An example stores float32, int64 and strings only. A feature of another dtype is stored as the one of them that holds
its values, and converted when it has been parsed.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Dtype", "Feature", "convert_features", "parsing_dictionary"]

_STORED_AS_FLOAT = ("float32", "float16", "bfloat16", "float64")
_STORED_AS_INT64 = ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "bool")

# fmt: off
Dtype = Literal[
    "float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "bool", "string",
]
# fmt: on
_Scalar = bool | int | float | str
_Size = Annotated[int, Field(ge=1)]


class Feature(BaseModel):
    """One feature of an example, without the dimension of the batch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dtype: Dtype = Field(
        default="float32", description="What the model takes; an example stores float32, int64 or string."
    )
    kind: Literal["fixed", "var_length", "ragged"] = Field(
        default="fixed", description="Dense and of one shape; or any number of values, as a sparse or a ragged tensor."
    )
    shape: list[_Size] = Field(default=[], description="Of the values of one example, if fixed; [] is a single value.")
    default: _Scalar | list[_Scalar] | None = Field(
        default=None, description="For examples without the feature: one value for all elements, or all in row order."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "Feature":
        if self.kind != "fixed" and (self.shape or self.default is not None):
            raise ValueError(f"a {self.kind} feature has no shape and no default")
        if isinstance(self.default, list) and len(self.default) != int(np.prod(self.shape)):
            raise ValueError(f"{len(self.default)} default values do not fill shape {self.shape}")
        values = self.default if isinstance(self.default, list) else [self.default]
        if self.default is not None and any(isinstance(value, str) != (self.dtype == "string") for value in values):
            raise ValueError(f"the default {self.default!r} is no {self.dtype}")
        return self

    @property
    def stored_dtype(self) -> str:
        """What an example stores it as."""
        if self.dtype in _STORED_AS_FLOAT:
            return "float32"
        return "int64" if self.dtype in _STORED_AS_INT64 else "string"

    def parser(self) -> Any:
        """Return the tf.io object that parses the feature out of an example, in `stored_dtype`."""
        import tensorflow as tf

        stored = tf.as_dtype(self.stored_dtype)
        if self.kind == "var_length":
            return tf.io.VarLenFeature(stored)
        if self.kind == "ragged":
            return tf.io.RaggedFeature(stored)
        default = None
        if self.default is not None:
            values = np.asarray(self.default, dtype=object if self.dtype == "string" else self.stored_dtype)
            default = np.full(self.shape, values) if values.ndim == 0 else values.reshape(self.shape)
            default = default.tolist()
        return tf.io.FixedLenFeature(self.shape, stored, default)


def parsing_dictionary(features: Mapping[str, Feature]) -> dict[str, Any]:
    """Return what `tf.io.parse_example` takes as its `features`."""
    return {name: feature.parser() for name, feature in features.items()}


def convert_features(parsed: Mapping[str, Any], features: Mapping[str, Feature]) -> dict[str, Any]:
    """Convert parsed tensors (dense, sparse or ragged) to the dtypes that the features declare."""
    import tensorflow as tf

    return {
        name: tf.cast(tensor, features[name].dtype)
        if name in features and features[name].dtype != features[name].stored_dtype
        else tensor
        for name, tensor in parsed.items()
    }
