import pytest

from tfs.serve.states import State
from tfs.serve.transition_policy import (
    Action,
    Kind,
    Snapshot,
    TransitionPolicy,
    availability_preserving,
    resource_preserving,
)

START, LOADING, AVAILABLE, UNLOADING, END = State


def aspired(version: int, state: State) -> Snapshot:
    return Snapshot(version, state, aspired=True)


def leaving(version: int, state: State) -> Snapshot:
    return Snapshot(version, state, aspired=False)


def load(version: int) -> Action:
    return Action(Kind.LOAD, version)


def unload(version: int) -> Action:
    return Action(Kind.UNLOAD, version)


BOTH = [
    ("nothing known", [], None),
    ("one new version", [aspired(1, START)], load(1)),
    ("the highest new version is loaded first", [aspired(1, START), aspired(3, START), aspired(2, START)], load(3)),
    ("the next one while the first still loads", [aspired(3, LOADING), aspired(2, START)], load(2)),
    ("all that is wanted is there", [aspired(1, AVAILABLE), aspired(2, AVAILABLE)], None),
    ("nothing is wanted", [leaving(2, AVAILABLE), leaving(1, AVAILABLE)], unload(1)),
    ("what is leaving and ended needs nothing", [leaving(1, END), aspired(2, AVAILABLE)], None),
    ("a version that failed is not tried again", [aspired(1, END)], None),
    ("a version beside one that failed", [aspired(2, END), aspired(1, START)], load(1)),
    ("what loads is not unloaded before it has ended", [leaving(1, LOADING)], None),
    ("what unloads is left alone", [leaving(1, UNLOADING)], None),
    ("the old one goes once the new one is there", [leaving(1, AVAILABLE), aspired(2, AVAILABLE)], unload(1)),
]

AVAILABILITY = [
    ("the new one is loaded beside the old one", [leaving(1, AVAILABLE), aspired(2, START)], load(2)),
    ("the old one stays while the new one loads", [leaving(1, AVAILABLE), aspired(2, LOADING)], None),
    ("the old one stays when the new one is broken", [leaving(1, AVAILABLE), aspired(2, END)], None),
    (
        "of several old ones the lowest goes first",
        [leaving(2, AVAILABLE), leaving(1, AVAILABLE), aspired(3, START)],
        unload(1),
    ),
    ("a new one does not wait for the end of an old one", [leaving(1, UNLOADING), aspired(2, START)], load(2)),
    (
        "a third is loaded after the old one has gone",
        [leaving(1, AVAILABLE), aspired(2, AVAILABLE), aspired(3, START)],
        unload(1),
    ),
]

RESOURCE = [
    ("the old one goes before the new one is loaded", [leaving(1, AVAILABLE), aspired(2, START)], unload(1)),
    ("the new one waits until the old one has ended", [leaving(1, UNLOADING), aspired(2, START)], None),
    ("the new one waits until a late load has ended", [leaving(1, LOADING), aspired(2, START)], None),
    ("the new one is loaded after that", [leaving(1, END), aspired(2, START)], load(2)),
    (
        "of several old ones the lowest goes first",
        [leaving(2, AVAILABLE), leaving(1, AVAILABLE), aspired(3, START)],
        unload(1),
    ),
    ("an old one that never began is no obstacle", [leaving(1, START), aspired(2, START)], load(2)),
]

TABLE = [
    *((availability_preserving, *row) for row in BOTH + AVAILABILITY),
    *((resource_preserving, *row) for row in BOTH + RESOURCE),
]


@pytest.mark.parametrize(
    ("policy", "versions", "action"), [pytest.param(p, v, a, id=f"{p.__name__}: {name}") for p, name, v, a in TABLE]
)
def test_next_action(policy: TransitionPolicy, versions: list[Snapshot], action: Action | None) -> None:
    assert policy(versions) == action
    assert policy(versions[::-1]) == action, "the order of the snapshot must not matter"
