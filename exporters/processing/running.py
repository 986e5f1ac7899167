"""The steps of a signature, made once outside the graph, then applied to its values while the graph is traced."""

from collections.abc import Sequence
from typing import Any

from tfs.exporters.processing.registry import STEPS, Applied
from tfs.exporters.signature_spec import StepSpec
from tfs.exporters.sources.python_objects import call_factory, load_object, referred_to
from tfs.exporters.suggestions import suggestion
from tfs.exporters.tensorflow_runtime import first_line
from tfs.savedmodel.errors import TfsError

__all__ = ["MadeSteps", "Processing", "Values"]

Values = dict[str, Any]
MadeSteps = dict[tuple[Any, ...], Applied]


class Processing:
    """The steps before or after a model.

    Args:
        where: what to call them in messages.
        steps: as declared.
        made: the steps that other signatures have made already, and what this one adds: equal ones share their tables.

    Attributes:
        resources: trackable objects that own the steps' tables, and assets to keep.

    Raises:
        TfsError: a step cannot be made: its file is missing, its function cannot be loaded, a package is not installed.
    """

    def __init__(self, where: str, steps: Sequence[StepSpec], made: MadeSteps) -> None:
        self._where = where
        self._steps = []
        for step in steps:
            own = {key: value for key, value in step.arguments or () if key not in ("of", "into")}
            key = (step.name, *own.items())
            if key not in made:
                made[key] = self._made(step, own)
            self._steps.append((step, made[key]))
        self.resources = tuple(resource for _, applied in self._steps for resource in applied.resources)

    def __call__(self, values: Values) -> Values:
        """Return the values by name after all steps.

        Raises:
            TfsError: a step fails, or names a value that is not there.
        """
        for step, applied in self._steps:
            values = self._after(step, applied, values)
        return values

    def _made(self, step: StepSpec, own: dict[str, Any]) -> Applied:
        if step.arguments is None:
            found = load_object(step.name)
            function = call_factory(found, step.name) if isinstance(found, type) else found
            if not callable(function):
                raise TfsError(f"{self._where}: `{step.name}` is no function")
            return Applied(function, (function, *referred_to(function)))
        try:
            made = STEPS[step.name].make(**own)
        except TfsError as error:
            raise TfsError(f"{self._where}, step `{step.name}`: {error.message}", error.hint) from error
        return made if isinstance(made, Applied) else Applied(made)

    def _after(self, step: StepSpec, applied: Applied, values: Values) -> Values:
        if step.arguments is None:
            return self._after_function(step.name, applied, values)
        for name in step.arguments.of:
            if name not in values:
                raise TfsError(
                    f"{self._where}, step `{step.name}`: there is no value `{name}`", suggestion(name, values)
                )
        given = [values[name] for name in step.arguments.of]
        try:
            results = applied.call(*given) if STEPS[step.name].together else tuple(map(applied.call, given))
        except TfsError as error:
            raise TfsError(f"{self._where}, step `{step.name}`: {error.message}", error.hint) from error
        except Exception as error:  # whatever TensorFlow says of a dtype or shape that does not fit
            called = ", ".join(f"`{name}`" for name in step.arguments.of)
            raise TfsError(f"{self._where}, step `{step.name}` does not take {called}: {first_line(error)}") from error
        results = results if isinstance(results, tuple) else (results,)
        names = step.arguments.into or step.arguments.of
        if len(names) != len(results):
            raise TfsError(f"{self._where}, step `{step.name}` makes {len(results)} values, `into` has {len(names)}")
        gone = step.arguments.of if STEPS[step.name].consumes else ()
        kept = {name: value for name, value in values.items() if name not in gone}
        return kept | dict(zip(names, results, strict=True))

    def _after_function(self, name: str, applied: Applied, values: Values) -> Values:
        try:
            results = applied.call(dict(values))
        except Exception as error:
            raise TfsError(f"{self._where}: `{name}` failed: {first_line(error)}", "tfs --debug shows where") from error
        if not isinstance(results, dict) or not all(isinstance(key, str) for key in results):
            raise TfsError(
                f"{self._where}: `{name}` returns a {type(results).__name__}", "it must return a dictionary of tensors"
            )
        return results
