"""All transforms by name, and building a pipeline's steps from a transform string."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfs.savedmodel.errors import UsageError
from tfs.transforms.fold_batch_norms import FoldBatchNorms
from tfs.transforms.fold_constants import FoldConstants
from tfs.transforms.fold_old_batch_norms import FoldOldBatchNorms
from tfs.transforms.grammar import Call, parse
from tfs.transforms.merge_duplicate_nodes import MergeDuplicateNodes
from tfs.transforms.passes import Argument, GraphPass, Value
from tfs.transforms.remove_attribute import RemoveAttribute
from tfs.transforms.remove_nodes import RemoveNodes
from tfs.transforms.strip_unused_nodes import StripUnusedNodes

__all__ = ["DEFAULT_TRANSFORMS", "PASSES", "Step", "steps_of"]

PASSES: Mapping[str, type[GraphPass]] = {
    graph_pass.name: graph_pass
    for graph_pass in (
        FoldBatchNorms,
        FoldConstants,
        FoldOldBatchNorms,
        MergeDuplicateNodes,
        RemoveAttribute,
        RemoveNodes,
        StripUnusedNodes,
    )
}

_VALUE_PRESERVING = "remove_nodes(op=Identity, op=IdentityN, op=StopGradient, op=PreventGradient, op=NoOp)"

DEFAULT_TRANSFORMS = f"""
    strip_unused_nodes
    fold_constants
    {_VALUE_PRESERVING}
    fold_old_batch_norms
    fold_batch_norms
    fold_constants
    {_VALUE_PRESERVING}
    merge_duplicate_nodes
    strip_unused_nodes
"""

_BOOLS = {"true": True, "1": True, "false": False, "0": False}
_IGNORE_ERRORS = "ignore_errors"


@dataclass(frozen=True)
class Step:
    """One step of a pipeline: a pass with its options, and whether its errors are only reported."""

    graph_pass: GraphPass
    ignore_errors: bool = False


def steps_of(transforms: str) -> tuple[Step, ...]:
    """Return the steps that a transform string asks for.

    Raises:
        UsageError: the text does not parse, or names an unknown transform, or an unknown, missing, repeated or
            ill-typed argument.
    """
    return tuple(_step(call) for call in parse(transforms))


def _step(call: Call) -> Step:
    if call.name not in PASSES:
        raise UsageError(f"unknown transform `{call.name}`", f"there are: {', '.join(sorted(PASSES))}")
    graph_pass = PASSES[call.name]
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
