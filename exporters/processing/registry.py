"""What a processing step is, the registry of all steps, and the check of a step's arguments."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from tfs.exporters.suggestions import suggestion

__all__ = ["STEPS", "Applied", "Arguments", "StepKind", "checked_arguments", "step"]


@dataclass(frozen=True)
class Applied:
    """A step with its arguments, ready to be traced into a graph.

    Attributes:
        call: takes tensors (dense, ragged or sparse) and returns one, or a tuple of them.
        resources: trackable objects that own its tables, and the `tf.saved_model.Asset`s to keep with the model.
    """

    call: Callable[..., Any]
    resources: tuple[Any, ...] = ()


_Make = TypeVar("_Make", bound=Callable[..., Any])


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


_Names = Annotated[tuple[str, ...], BeforeValidator(_as_names, json_schema_input_type=str | list[str])]


class Arguments(BaseModel):
    """What every step is told, next to its own arguments."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: _Names = Field(min_length=1, description="The value or values that go in, by name.")
    into: _Names = Field(default=(), description="The names of what comes out; left out: it replaces what went in.")


@dataclass(frozen=True)
class StepKind:
    """A registered step.

    Attributes:
        make: takes the step's own arguments by keyword; returns what to call, or an `Applied` that has resources. It is
            called once for a signature, outside the graph.
        together: whether all values of `of` are the arguments of one call; otherwise each is one of its own.
        replaces: whether the results stand in place of what went in, if `into` is left out.
        consumes: whether what went in is gone afterwards.
        arguments: the model of its arguments.
    """

    make: Callable[..., Any]
    together: bool
    replaces: bool
    consumes: bool
    arguments: type[Arguments]


STEPS: dict[str, StepKind] = {}


def step(*, together: bool = False, replaces: bool = True, consumes: bool = False) -> Callable[[_Make], _Make]:
    """Register a function as the step of its name; its keyword arguments are the step's, see `StepKind`."""

    def register(make: _Make) -> _Make:
        own: dict[str, Any] = {
            name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
            for name, parameter in inspect.signature(make).parameters.items()
        }
        model = create_model(make.__name__, __base__=Arguments, __doc__=inspect.getdoc(make), **own)
        STEPS[make.__name__] = StepKind(make, together, replaces, consumes, model)
        return make

    return register


def checked_arguments(name: str, arguments: dict[str, Any]) -> Arguments:
    """Return a step's arguments in their types.

    Raises:
        ValueError: there is no such step; or an argument is unknown, missing or of another type. The message is one
            line, made for the user.
    """
    if name not in STEPS:
        raise ValueError(f"unknown step `{name}` ({suggestion(name, STEPS)})")
    kind = STEPS[name]
    try:
        checked = kind.arguments.model_validate(arguments)
    except ValidationError as error:
        # A word that is misspelt is often missing as well.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        argument = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            known = suggestion(argument, kind.arguments.model_fields)
            raise ValueError(f"step `{name}` has no argument `{argument}` ({known})") from None
        if first["type"] == "missing":
            raise ValueError(f"step `{name}` needs the argument `{argument}`") from None
        raise ValueError(f"step `{name}`, argument `{argument}`: {first['msg']}") from None
    if not checked.into and not kind.replaces:
        raise ValueError(f"step `{name}` needs the argument `into`, the name of what comes out")
    if checked.into and not kind.together and len(checked.into) != len(checked.of):
        raise ValueError(f"step `{name}` makes {len(checked.of)} values, `into` has {len(checked.into)} names")
    return checked
