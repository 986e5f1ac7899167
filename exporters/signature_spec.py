"""A signature as a recipe declares it: what clients send and get, and what happens to it before and after the model."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

import tfs.exporters.processing  # noqa: F401  (registers the steps)
from tfs.exporters.feature_spec import Dtype, Feature
from tfs.exporters.processing.registry import STEPS, Arguments, checked_arguments

__all__ = ["DeclaredSignature", "InputSpec", "OutputSpec", "SignatureSpec", "Step", "StepSpec", "Steps"]


class _OrText:
    """Lets the JSON Schema say what the validator before it does: a string, or nothing, may stand for the whole."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(core_schema), {"type": ["string", "null"]}]}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSpec(_Section):
    """An input, or the name of the model's input that it is."""

    of: str | None = Field(default=None, description="The model's input; left out: the one of the same name.")
    dtype: Dtype | None = Field(default=None, description="What clients send; left out: the model's.")
    shape: tuple[int | None, ...] | None = Field(
        default=None, description="With the batch as first dimension, null for any size; left out: the model's."
    )


class OutputSpec(_Section):
    """An output, or the name of the model's output that it is."""

    of: str | None = Field(default=None, description="The model's output; left out: the one of the same name.")
    dtype: Dtype | None = Field(default=None, description="What clients get; left out: the model's.")


class StepSpec(_Section):
    """A step of processing: a registered one with its arguments, or a function.

    Attributes:
        name: of the step, or `pkg.mod:fn`.
        arguments: checked; None for a function.
    """

    name: str
    arguments: Arguments | None = None

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of what stands for it in a recipe, with every registered step."""
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        properties = {name: kind.arguments.model_json_schema() for name, kind in sorted(STEPS.items())}
        one_step = {"type": "object", "properties": properties, "additionalProperties": False}
        one_step |= {"minProperties": 1, "maxProperties": 1}
        schema.clear()
        schema |= {"title": cls.__name__, "anyOf": [one_step, {"type": "string", "pattern": ":"}]}
        return reference


def _as_step(value: Any) -> Any:
    if isinstance(value, StepSpec):
        return value
    if isinstance(value, str):
        if ":" not in value:
            raise ValueError(f"`{value}` is no pkg.mod:fn; a step has arguments: `{value}: {{of: ...}}`")
        return StepSpec(name=value)
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("a step is pkg.mod:fn, or one name with its arguments: `lower: {of: text}`")
    [(name, arguments)] = value.items()
    if arguments is not None and not isinstance(arguments, dict):
        raise ValueError(f"the arguments of step `{name}` are a mapping: `{name}: {{of: ...}}`")
    return StepSpec(
        name=name, arguments=checked_arguments(str(name), {str(key): given for key, given in (arguments or {}).items()})
    )


def _as_list(value: Any) -> Any:
    return [] if value is None else [value] if isinstance(value, str) else value


def _of_that(value: Any) -> Any:
    """`scores: dense_1` stands for `scores: {of: dense_1}`, an empty value for the defaults."""
    return {} if value is None else {"of": value} if isinstance(value, str) else value


def _as_function(value: Any) -> Any:
    return {} if value is None else {"function": value} if isinstance(value, str) else value


Step = Annotated[StepSpec, BeforeValidator(_as_step)]
Steps = Annotated[list[Step], BeforeValidator(_as_list), _OrText()]


class SignatureSpec(_Section):
    """A signature, or the function `pkg.mod:fn` that makes it."""

    function: str | None = Field(
        default=None,
        description="pkg.mod:fn; fn(model) returns a tf.function with an input_signature, to start from in place of "
        "the model's own signature.",
    )
    of: str | None = Field(
        default=None, description="The model's own signature to start from; left out: serving_default, or its only one."
    )
    method: Literal["predict", "classify", "regress"] = Field(
        default="predict", description="Which request it answers; classify and regress take examples."
    )
    batch_size: int | None = Field(default=None, ge=1, description="First dimension of every input; left out: any.")
    inputs: dict[str, Annotated[InputSpec, BeforeValidator(_of_that), _OrText()]] | None = Field(
        default=None, description="All inputs by the names that clients use; left out: those of the model."
    )
    features: dict[str, Feature] | None = Field(
        default=None, description="In place of inputs: what to parse out of serialized tf.train.Examples."
    )
    preprocess: Steps = Field(default=[], description="Steps, or pkg.mod:fn: from the inputs to those of the model.")
    postprocess: Steps = Field(default=[], description="Steps, or pkg.mod:fn: from the model's outputs on.")
    outputs: dict[str, Annotated[OutputSpec, BeforeValidator(_of_that), _OrText()]] | None = Field(
        default=None, description="All outputs by the names that clients use; left out: all there are."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "SignatureSpec":
        for one, other in (("inputs", "features"), ("function", "of")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ValueError(f"a signature has {one} or {other}, not both")
        for name in ("inputs", "features", "outputs"):
            if getattr(self, name) == {}:
                raise ValueError(f"{name} are empty")
        return self

    @property
    def is_plain(self) -> bool:
        """Whether it is what the function, or the model, gives, with nothing changed."""
        return not self.model_fields_set - {"function", "of"}


DeclaredSignature = Annotated[SignatureSpec, BeforeValidator(_as_function), _OrText()]
