"""How the versions of one model change over: pure functions of a snapshot that name one next action, or none.

Both are asked again after every change, so one action at a time is enough. A version whose load has ended (END, with or
without an error) holds nothing and is never acted on again; a new attempt begins with a new START.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from tfs.serve.states import State

__all__ = ["Action", "Kind", "Snapshot", "TransitionPolicy", "availability_preserving", "resource_preserving"]


class Kind(Enum):
    """What an action does with its version."""

    LOAD = "load"
    UNLOAD = "unload"


@dataclass(frozen=True)
class Action:
    """One step: load or unload `version`."""

    kind: Kind
    version: int


@dataclass(frozen=True)
class Snapshot:
    """One version of a model as the policy sees it; `aspired` says whether the source wants it now."""

    version: int
    state: State
    aspired: bool


TransitionPolicy = Callable[[Sequence[Snapshot]], Action | None]


def availability_preserving(versions: Sequence[Snapshot]) -> Action | None:
    """Load the new before the old is unloaded: the model never becomes unavailable because of a change of version.

    1. A version that is not aspired is unloaded, lowest first, if nothing is aspired, or an aspired version is
       available, or more than one that is not aspired is available.
    2. Otherwise the highest aspired version that has not begun is loaded.

    So a new version that does not load never takes the old one away.
    """
    leaving = [v.version for v in versions if not v.aspired and v.state is State.AVAILABLE]
    aspired = [v for v in versions if v.aspired]
    served = any(v.state is State.AVAILABLE for v in aspired)
    if leaving and (not aspired or served or len(leaving) > 1):
        return Action(Kind.UNLOAD, min(leaving))
    return _load_highest(aspired)


def resource_preserving(versions: Sequence[Snapshot]) -> Action | None:
    """Unload the old before the new is loaded: at no time are both in memory; requests fail in between.

    1. Versions that are not aspired are unloaded, lowest first.
    2. While one of them still loads or unloads nothing happens.
    3. Then the highest aspired version that has not begun is loaded.
    """
    leaving = [v for v in versions if not v.aspired and v.state not in (State.START, State.END)]
    available = [v.version for v in leaving if v.state is State.AVAILABLE]
    if available:
        return Action(Kind.UNLOAD, min(available))
    if leaving:
        return None
    return _load_highest(v for v in versions if v.aspired)


def _load_highest(aspired: Iterable[Snapshot]) -> Action | None:
    new = [v.version for v in aspired if v.state is State.START]
    return Action(Kind.LOAD, max(new)) if new else None
