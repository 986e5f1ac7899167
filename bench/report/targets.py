"""The numbers to reach, and whether they were."""

from collections.abc import Callable
from dataclasses import dataclass

from .result import NotMeasuredError

__all__ = ["Target", "at_least", "at_most"]


@dataclass(frozen=True)
class Target:
    """A number to reach: what it is, what was measured, `met` or `MISSED` or `not measured`."""

    text: str
    measured: str
    verdict: str


def at_least(text: str, bound: float, value: Callable[[], float], form: str = "{:.2f}") -> Target:
    """Return the target that a value, shown as `form`, is not below the bound."""
    return _target(text, value, form, lambda number: number >= bound)


def at_most(text: str, bound: float, value: Callable[[], float], form: str = "{:.2f}") -> Target:
    """Return the target that a value, shown as `form`, is not above the bound."""
    return _target(text, value, form, lambda number: number <= bound)


def _target(text: str, value: Callable[[], float], form: str, holds: Callable[[float], bool]) -> Target:
    try:
        number = value()
    except NotMeasuredError as error:
        return Target(text, str(error), "not measured")
    return Target(text, form.format(number), "met" if holds(number) else "MISSED")
