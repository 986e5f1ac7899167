"""Building a pipeline's steps from a transform string: names looked up, arguments read and checked."""

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import tfs.transforms.passes  # noqa: F401  (registers them)
from tfs.savedmodel.errors import UsageError
from tfs.transforms.grammar import Call, parse
from tfs.transforms.graph_pass import REGISTERED, Argument, GraphPass, PassResult, Value
from tfs.transforms.graph_view import GraphView
from tfs.transforms.presets import PRESETS

__all__ = ["PASSES", "Step", "described_transforms", "steps_of"]

PASSES: Mapping[str, type[GraphPass]] = dict(sorted(REGISTERED.items()))
_BY_ALIAS = {alias: graph_pass for graph_pass in PASSES.values() for alias in graph_pass.aliases}

_BOOLS = {"true": True, "1": True, "false": False, "0": False}
_IGNORE_ERRORS = "ignore_errors"


@dataclass(frozen=True)
class Step:
    """One step of a pipeline: a pass with its options, and whether its errors are only reported."""

    graph_pass: GraphPass
    ignore_errors: bool = False


def steps_of(transforms: str) -> tuple[Step, ...]:
    """Return the steps that a transform string asks for; names of presets stand for their lists.

    Raises:
        UsageError: the text does not parse, or names an unknown transform, or an unknown, missing, repeated or
            ill-typed argument.
    """
    return tuple(step for call in parse(transforms) for step in _steps(call))


def _steps(call: Call) -> Iterator[Step]:
    if call.name not in PRESETS:
        yield _step(call)
        return
    if call.arguments:
        raise UsageError(f"`{call.name}` is a preset and takes no arguments", f"it has `{call.arguments[0][0]}`")
    if PRESETS[call.name].transforms:
        yield from steps_of(PRESETS[call.name].transforms)


def _step(call: Call) -> Step:
    graph_pass = _own_pass(call.name) if ":" in call.name else PASSES.get(call.name) or _BY_ALIAS.get(call.name)
    if graph_pass is None:
        raise UsageError(f"unknown transform `{call.name}`", _nearest(call.name))
    ignore_errors = False
    given: dict[str, list[str]] = {}
    for key, text in call.arguments:
        if key == _IGNORE_ERRORS:
            # The first value counts, as in the Graph Transform Tool; later ones must still be readable.
            value = _flag(call.name, text)
            ignore_errors = ignore_errors if key in given else value
        given.setdefault(key, []).append(text)
    given.pop(_IGNORE_ERRORS, None)
    return Step(graph_pass(**_options(call.name, graph_pass.arguments, given)), ignore_errors)


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, [*PASSES, *_BY_ALIAS, *PRESETS], n=1)
    return f"did you mean `{near[0]}`?" if near else "`tfs optimize --list-transforms` shows all"


def _own_pass(name: str) -> type[GraphPass]:
    """Return the pass that `package.module:object` names: a class, or a function from a view to a view or result."""
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise UsageError(f"transform `{name}`: module `{module_name}` cannot be imported: {error}") from error
    except AttributeError as error:
        raise UsageError(f"transform `{name}`: module `{module_name}` has no `{attribute}`") from error
    if isinstance(found, type) and issubclass(found, GraphPass):
        return found
    if not callable(found) or isinstance(found, type):
        raise UsageError(f"transform `{name}` is neither a function nor a subclass of tfs.transforms.GraphPass")
    return _from_function(name, found)


def _from_function(called: str, function: Callable[[GraphView], GraphView | PassResult]) -> type[GraphPass]:
    class FunctionPass(GraphPass):
        name: ClassVar[str] = called
        summary: ClassVar[str] = (function.__doc__ or "").strip().split("\n")[0]

        def __call__(self, view: GraphView) -> PassResult:
            result = function(view)
            if isinstance(result, GraphView):
                return PassResult(result, {} if result is view else {"times applied": 1})
            return result

    return FunctionPass


def _options(name: str, arguments: tuple[Argument, ...], given: Mapping[str, list[str]]) -> dict[str, Any]:
    known = {argument.key: argument for argument in arguments}
    for key in given:
        if key not in known:
            expected = ", ".join([*known, _IGNORE_ERRORS])
            raise UsageError(f"transform `{name}` has no argument `{key}`", f"it has: {expected}")
    options: dict[str, Any] = {}
    for argument in arguments:
        texts = given.get(argument.key, [])
        if not texts:
            if argument.required:
                raise UsageError(f"transform `{name}` needs the argument `{argument.key}`")
            continue
        values = tuple(_value(name, argument, text) for text in texts)
        if not argument.repeatable and len(values) > 1:
            raise UsageError(f"transform `{name}`: argument `{argument.key}` is given {len(values)} times")
        options[argument.key] = values if argument.repeatable else values[0]
    return options


def _value(name: str, argument: Argument, text: str) -> Value:
    try:
        return _BOOLS[text] if argument.kind is bool else argument.kind(text)
    except (KeyError, ValueError):
        expected = "true or false" if argument.kind is bool else f"of type {argument.kind.__name__}"
        raise UsageError(f"transform `{name}`: argument `{argument.key}` must be {expected}, not `{text}`") from None


def _flag(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise UsageError(f"transform `{name}`: argument `{_IGNORE_ERRORS}` must be true or false, not `{text}`")
    return text.lower() == "true"


def described_transforms() -> list[dict[str, Any]]:
    """Return name, aliases, summary and arguments (with type and default) of every transform, for people and JSON."""
    return [
        {
            "name": name,
            "aliases": list(graph_pass.aliases),
            "summary": graph_pass.summary,
            "arguments": [_described(graph_pass, argument) for argument in graph_pass.arguments],
        }
        for name, graph_pass in PASSES.items()
    ]


def _described(graph_pass: type[GraphPass], argument: Argument) -> dict[str, Any]:
    default = inspect.signature(graph_pass).parameters[argument.key].default
    return {
        "name": argument.key,
        "type": argument.kind.__name__,
        "required": argument.required,
        "repeatable": argument.repeatable,
        "default": None if default in (inspect.Parameter.empty, ()) else default,
    }
