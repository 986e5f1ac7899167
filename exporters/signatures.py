"""The functions behind a model's signatures, with named inputs and outputs."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.exporters.options import ExportOptions
from tfs.exporters.sources.python_objects import load_object
from tfs.exporters.sources.trained import ServingFunction, Trained
from tfs.exporters.tensorflow_runtime import first_line
from tfs.exporters.writing import write_functions
from tfs.savedmodel.errors import TfsError, UsageError

__all__ = ["DEFAULT_SIGNATURE", "ModelWithFunctions", "parse_signature_option"]

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class ModelWithFunctions(Trained):
    """A model in memory whose signatures are functions.

    Attributes:
        model: what the function of a signature is called with; a trackable object.
        own_functions: returns the signatures that the model itself has, a tf.function or concrete function by name. It
            is called only if they are wanted.
    """

    model: Any
    own_functions: Callable[[], dict[str, Any]]

    def write(self, directory: Path, options: ExportOptions) -> None:  # noqa: D102 - see Trained
        write_functions(directory, self.model, self._serving_functions(options))

    def _serving_functions(self, options: ExportOptions) -> dict[str, ServingFunction]:
        named = options.signatures
        functions = {} if DEFAULT_SIGNATURE in named else dict(self.own_functions())
        for name, function in named.items():
            functions[name] = _named_function(self.model, name, function)
        if not functions:
            raise TfsError(
                f"the {type(self.model).__name__} has no tf.function with an input_signature",
                f"--signature {DEFAULT_SIGNATURE}=pkg.mod:fn, fn(model) returns one",
            )
        return {
            name: ServingFunction(_concrete(name, function), uses=_referred_to(function))
            for name, function in functions.items()
        }


def parse_signature_option(options: list[str]) -> dict[str, str]:
    """Return `NAME=pkg.mod:fn` options as a dictionary in their order.

    Raises:
        UsageError: an option has another form, or a name comes twice.
    """
    functions: dict[str, str] = {}
    for option in options:
        name, equals, function = option.partition("=")
        if not (name and equals and function):
            raise UsageError(f"--signature `{option}` has not the form NAME=pkg.mod:function")
        if name in functions:
            raise UsageError(f"--signature names `{name}` twice")
        functions[name] = function
    return functions


def _named_function(model: Any, name: str, function: str) -> Any:
    import tensorflow as tf

    make = load_object(function)
    if not callable(make):
        raise TfsError(f"signature `{name}`: `{function}` is no function")
    try:
        made = make(model)
    except Exception as error:
        raise TfsError(f"signature `{name}`: `{function}` failed: {error}", "it is called with the model") from error
    if isinstance(made, tf.types.experimental.ConcreteFunction | tf.types.experimental.PolymorphicFunction):
        return made
    raise TfsError(
        f"signature `{name}`: `{function}` returns a {type(made).__name__}",
        "it must return a tf.function with an input_signature, or a concrete function",
    )


def _referred_to(function: Any) -> tuple[Any, ...]:
    """Return the objects that the code of a tf.function names but does not make itself: closure and globals."""
    code = inspect.unwrap(getattr(function, "python_function", function))
    if not inspect.isfunction(code):
        return ()
    variables = inspect.getclosurevars(code)
    return (*variables.nonlocals.values(), *variables.globals.values())


def _concrete(name: str, function: Any) -> Any:
    import tensorflow as tf

    if isinstance(function, tf.types.experimental.ConcreteFunction):
        return function
    try:
        return function.get_concrete_function()
    except Exception as error:  # tracing runs the model's own code
        hint = (
            "its tf.function needs an input_signature"
            if function.input_signature is None
            else "tfs --debug shows where"
        )
        raise TfsError(f"signature `{name}` cannot be traced: {first_line(error)}", hint) from error
