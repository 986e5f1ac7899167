"""The functions behind a model's signatures, with named inputs and outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tfs.exporters.declared import declared_function
from tfs.exporters.options import ExportOptions
from tfs.exporters.processing.running import MadeSteps
from tfs.exporters.signature_spec import SignatureSpec
from tfs.exporters.sources.python_objects import load_object, referred_to
from tfs.exporters.sources.trained import DEFAULT_SIGNATURE, ServingFunction, Trained
from tfs.exporters.suggestions import suggestion
from tfs.exporters.tensorflow_runtime import first_line
from tfs.exporters.writing import write_functions
from tfs.savedmodel.errors import TfsError

__all__ = ["ModelWithFunctions"]


@dataclass(frozen=True)
class ModelWithFunctions(Trained):
    """A model in memory whose signatures are functions.

    Attributes:
        model: what the function of a signature is called with.
        own: the signatures that the model itself has: functions that return a tf.function, a concrete function or
            a ServingFunction, by name. They are called only if the signature is wanted.
    """

    model: Any
    own: dict[str, Callable[[], Any]]

    def write(self, directory: Path, options: ExportOptions) -> None:  # noqa: D102 - see Trained
        write_functions(directory, self.model, self._serving_functions(options))

    def _serving_functions(self, options: ExportOptions) -> dict[str, ServingFunction]:
        own = {name: lru_cache(maxsize=None)(make) for name, make in self.own.items()}
        functions = {name: own[name]() for name in self._kept(options) if name not in options.signatures}
        for name, spec in options.signatures.items():
            functions[name] = (
                _own(name, spec, own)() if spec.function is None else _named_function(self.model, name, spec.function)
            )
        served = {name: _served(name, function) for name, function in functions.items()}
        steps: MadeSteps = {}
        for name, spec in options.signatures.items():
            if not spec.is_plain:
                served[name] = declared_function(name, spec, served[name], steps)
        if not served:
            raise TfsError(
                f"the {type(self.model).__name__} has no tf.function with an input_signature",
                f"--signature {DEFAULT_SIGNATURE}=pkg.mod:fn, fn(model) returns one",
            )
        return served

    def _kept(self, options: ExportOptions) -> list[str]:
        if options.keep_signatures is None:
            return list(self.own)
        for name in options.keep_signatures:
            if name not in self.own:
                raise TfsError(f"the source has no signature `{name}`", suggestion(name, self.own))
        return options.keep_signatures


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


def _own(name: str, spec: SignatureSpec, own: dict[str, Any]) -> Any:
    """Return the model's own function that a declared signature starts from."""
    if spec.of is not None and spec.of not in own:
        raise TfsError(f"signature `{name}`: the model has no signature `{spec.of}`", suggestion(spec.of, own))
    only = next(iter(own)) if len(own) == 1 else ""
    start = spec.of or next((found for found in (name, DEFAULT_SIGNATURE, only) if found in own), None)
    if start is None:
        known = ", ".join(sorted(own)) or "none"
        raise TfsError(f"signature `{name}` does not say what to start from", f"give `of` or `function`; has: {known}")
    return own[start]


def _served(name: str, function: Any) -> ServingFunction:
    if isinstance(function, ServingFunction):
        return function
    return ServingFunction(_concrete(name, function), uses=referred_to(function))


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
