"""The scheduler, run for each transition policy against a data plane that fails on demand."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

import pytest
from fake_engine import NOT_FOUND, FakeEngine

from tfs.serve.manager import LoadOptions, Manager, StoppedError
from tfs.serve.states import State, VersionStatus
from tfs.serve.transition_policy import TransitionPolicy, availability_preserving, resource_preserving

START, LOADING, AVAILABLE, UNLOADING, END = State

NewManager = Callable[..., Manager]


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    engine = FakeEngine()
    yield engine
    assert engine.violations == []


@pytest.fixture(params=[availability_preserving, resource_preserving], ids=["availability", "resource"])
def transition(request: pytest.FixtureRequest) -> TransitionPolicy:
    policy: TransitionPolicy = request.param
    return policy


@pytest.fixture
def start(engine: FakeEngine, transition: TransitionPolicy) -> Iterator[NewManager]:
    managers = []

    def new(*, first_load: bool = False, **options: object) -> Manager:
        manager = Manager(engine, LoadOptions(**{"transition": transition, "retry_seconds": 0.01, **options}))
        if not first_load:
            manager.end_first_load()
        manager.start()
        managers.append(manager)
        return manager

    yield new
    for manager in managers:
        manager.stop()


def versions(*numbers: int) -> dict[int, str]:
    return {number: f"/models/m/{number}" for number in numbers}


def test_a_version_is_loaded_routed_and_only_then_available(engine: FakeEngine, start: NewManager) -> None:
    manager = start()
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: AVAILABLE})
    assert engine.calls == ["load m 1", "route m [1]"]
    assert manager.statuses("m") == [VersionStatus(1, AVAILABLE)]


def test_a_new_version_replaces_the_old_one(
    engine: FakeEngine, start: NewManager, transition: TransitionPolicy
) -> None:
    manager = start()
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: AVAILABLE})
    manager.set_aspired("m", versions(2))
    engine.wait_for_states("m", {2: AVAILABLE, 1: END})
    assert engine.loaded == {("m", 2)}
    assert engine.routed == {"m": (2,)}
    assert engine.most_loaded == (2 if transition is availability_preserving else 1)


def test_several_versions_are_served_side_by_side(engine: FakeEngine, start: NewManager) -> None:
    start().set_aspired("m", versions(1, 2, 3))
    engine.wait_for_states("m", {3: AVAILABLE, 2: AVAILABLE, 1: AVAILABLE})
    assert engine.routed == {"m": (1, 2, 3)}
    assert [call for call in engine.calls if call.startswith("load")] == ["load m 3", "load m 2", "load m 1"]


def test_all_versions_are_unloaded_when_none_is_wanted(engine: FakeEngine, start: NewManager) -> None:
    manager = start()
    manager.set_aspired("m", versions(1, 2))
    engine.wait_for_states("m", {2: AVAILABLE, 1: AVAILABLE})
    manager.set_aspired("m", {})
    engine.wait_for_states("m", {2: END, 1: END})
    assert engine.loaded == set()
    assert engine.routed == {"m": ()}


def test_the_previous_version_comes_back_when_the_newest_disappears(engine: FakeEngine, start: NewManager) -> None:
    manager = start()
    for number in (1, 2, 1):
        manager.set_aspired("m", versions(number))
        engine.wait(lambda number=number: engine.routed.get("m") == (number,))
    engine.wait_for_states("m", {2: END, 1: AVAILABLE})
    assert manager.statuses("m") == [VersionStatus(2, END), VersionStatus(1, AVAILABLE)]


def test_a_broken_new_version_takes_the_old_one_away_only_when_resources_are_preserved(
    engine: FakeEngine, start: NewManager, transition: TransitionPolicy
) -> None:
    manager = start(max_retries=1)
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: AVAILABLE})
    engine.fail("m", 2)
    manager.set_aspired("m", versions(2))
    kept = AVAILABLE if transition is availability_preserving else END
    engine.wait_for_states("m", {2: END, 1: kept})
    assert engine.routed["m"] == ((1,) if kept is AVAILABLE else ())
    assert manager.statuses("m")[0] == VersionStatus(2, END, NOT_FOUND, "no SavedModel in /models/m/2")


def test_a_good_version_after_a_broken_one_is_loaded(engine: FakeEngine, start: NewManager) -> None:
    manager = start(max_retries=0)
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: AVAILABLE})
    engine.fail("m", 2)
    manager.set_aspired("m", versions(2))
    engine.wait_for_call("load m 2")
    manager.set_aspired("m", versions(3))
    engine.wait_for_states("m", {3: AVAILABLE, 2: END, 1: END})


def test_a_load_is_retried_until_it_succeeds(engine: FakeEngine, start: NewManager) -> None:
    manager = start(max_retries=5)
    engine.fail("m", 1, times=3)
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: AVAILABLE})
    assert engine.calls.count("load m 1") == 4
    assert manager.statuses("m") == [VersionStatus(1, AVAILABLE)]


def test_a_load_is_given_up_after_its_retries(
    engine: FakeEngine, start: NewManager, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tfs")
    manager = start(max_retries=2)
    engine.fail("m", 1)
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: END})
    manager.set_aspired("m", versions(1))
    assert engine.stays(lambda: engine.calls.count("load m 1") == 3)
    assert caplog.messages == [
        "m version 1: START -> LOADING from /models/m/1",
        "m version 1: attempt 1 of 3 to load /models/m/1 failed: no SavedModel in /models/m/1; next attempt in 0.01 s",
        "m version 1: attempt 2 of 3 to load /models/m/1 failed: no SavedModel in /models/m/1; next attempt in 0.01 s",
        "m version 1: LOADING -> END: attempt 3 of 3 to load /models/m/1 failed: no SavedModel in /models/m/1",
    ]


def test_a_version_that_was_given_up_is_tried_again_after_it_disappeared_and_came_back(
    engine: FakeEngine, start: NewManager
) -> None:
    manager = start(max_retries=0)
    engine.fail("m", 1, times=1)
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: END})
    manager.set_aspired("m", {})
    assert engine.stays(lambda: engine.states("m") == {1: END})
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: AVAILABLE})
    assert manager.statuses("m") == [VersionStatus(1, AVAILABLE)], "the old error is gone"


def test_retries_end_when_the_version_is_no_longer_wanted(engine: FakeEngine, start: NewManager) -> None:
    manager = start(retry_seconds=3600)
    engine.fail("m", 1)
    manager.set_aspired("m", versions(1))
    engine.wait_for_call("load m 1")
    assert engine.stays(lambda: engine.states("m") == {1: LOADING}), "a load between two attempts is still LOADING"
    manager.set_aspired("m", {})
    engine.wait_for_states("m", {1: END})
    assert manager.statuses("m")[0].error_code == NOT_FOUND


def test_a_version_no_longer_wanted_while_it_loads_is_unloaded_afterwards(
    engine: FakeEngine, start: NewManager
) -> None:
    manager = start()
    engine.hold("load m 1")
    manager.set_aspired("m", versions(1))
    engine.wait_for_call("load m 1")
    manager.set_aspired("m", {})
    assert engine.stays(lambda: engine.states("m") == {1: LOADING})
    engine.release("load m 1")
    engine.wait_for_states("m", {1: END})
    assert engine.loaded == set()


def test_a_load_that_fails_after_the_version_disappeared_is_not_retried(engine: FakeEngine, start: NewManager) -> None:
    manager = start()
    engine.fail("m", 1)
    engine.hold("load m 1")
    manager.set_aspired("m", versions(1))
    engine.wait_for_call("load m 1")
    manager.set_aspired("m", {})
    engine.release("load m 1")
    engine.wait_for_states("m", {1: END})
    assert engine.stays(lambda: engine.calls.count("load m 1") == 1)


def test_a_version_wanted_again_while_it_unloads_waits_for_the_end(engine: FakeEngine, start: NewManager) -> None:
    manager = start()
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: AVAILABLE})
    engine.hold("unload m 1")
    manager.set_aspired("m", {})
    engine.wait_for_call("unload m 1")
    assert engine.routed == {"m": ()}, "no new request reaches it while those under way are waited for"
    manager.set_aspired("m", versions(1))
    assert engine.stays(lambda: engine.states("m") == {1: UNLOADING})
    engine.release("unload m 1")
    engine.wait_for_states("m", {1: AVAILABLE})
    assert engine.calls.count("load m 1") == 2


# Resource preserving begins the unload at once, so there is no such time.
@pytest.mark.parametrize("transition", [availability_preserving], indirect=True)
def test_a_version_wanted_again_before_its_unload_began_just_stays(engine: FakeEngine, start: NewManager) -> None:
    manager = start()
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: AVAILABLE})
    engine.hold("load m 2")
    manager.set_aspired("m", versions(2))
    engine.wait_for_call("load m 2")
    manager.set_aspired("m", versions(1))
    engine.release("load m 2")
    engine.wait_for_states("m", {2: END, 1: AVAILABLE})
    assert engine.calls.count("load m 1") == 1


def test_a_model_that_fails_holds_up_no_other(engine: FakeEngine, start: NewManager) -> None:
    manager = start(retry_seconds=3600)
    engine.fail("broken", 1)
    manager.set_aspired("broken", versions(1))
    engine.wait_for_call("load broken 1")
    manager.set_aspired("good", versions(1))
    engine.wait_for_states("good", {1: AVAILABLE})


@pytest.mark.parametrize(("threads", "most"), [(0, 1), (1, 1), (2, 2)])
def test_load_threads_bound_the_loads_at_a_time(engine: FakeEngine, start: NewManager, threads: int, most: int) -> None:
    names = ["a", "b", "c"]
    for name in names:
        engine.hold(f"load {name} 1")
    manager = start(load_threads=threads)
    for name in names:
        manager.set_aspired(name, versions(1))
    assert engine.stays(lambda: engine.most_loading <= most)
    for name in names:
        engine.release(f"load {name} 1")
    for name in names:
        engine.wait_for_states(name, {1: AVAILABLE})
    assert engine.most_loading == most


def test_the_first_load_runs_in_parallel(engine: FakeEngine, start: NewManager) -> None:
    engine.hold("load a 1")
    engine.hold("load b 1")
    manager = start(first_load=True)
    manager.configure({"a": {}, "b": {}})
    manager.set_aspired("a", versions(1))
    manager.set_aspired("b", versions(1))
    engine.wait(lambda: engine.most_loading == 2)
    engine.release("load a 1")
    engine.release("load b 1")
    assert manager.wait_until_loaded(["a", "b"], timeout=10) == {}


def test_unloads_go_before_loads(engine: FakeEngine, start: NewManager) -> None:
    manager = start()
    manager.set_aspired("z", versions(1))
    engine.wait_for_states("z", {1: AVAILABLE})
    engine.hold("load a 1")
    manager.set_aspired("a", versions(1, 2))
    manager.set_aspired("z", {})
    engine.wait_for_states("z", {1: END})
    engine.release("load a 1")
    engine.wait_for_states("a", {2: AVAILABLE, 1: AVAILABLE})


def test_labels_reach_the_engine_and_stay(engine: FakeEngine, start: NewManager) -> None:
    manager = start()
    manager.configure({"m": {"stable": 1}})
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: AVAILABLE})
    assert engine.labels == {"m": {"stable": 1}}
    manager.configure({"m": {"stable": 1, "canary": 2}})
    assert engine.labels == {"m": {"stable": 1, "canary": 2}}
    manager.configure({})
    assert engine.labels == {"m": {}}


def test_what_requests_reach_is_told_for_every_model(engine: FakeEngine, start: NewManager) -> None:
    manager = start(max_retries=0)
    engine.fail("a", 2)
    manager.set_aspired("a", versions(1, 2))
    manager.set_aspired("b", {})
    engine.wait_for_states("a", {2: END, 1: AVAILABLE})
    assert manager.available() == {"a": {1}, "b": set()}


def test_waiting_ends_with_the_failure_of_a_model_without_a_good_version(engine: FakeEngine, start: NewManager) -> None:
    manager = start(max_retries=0)
    manager.configure({"broken": {}, "mixed": {}})
    engine.fail("broken", 1)
    engine.fail("broken", 2)
    engine.fail("mixed", 2)
    manager.set_aspired("broken", versions(1, 2))
    manager.set_aspired("mixed", versions(1, 2))
    failed = manager.wait_until_loaded(["broken", "mixed"], timeout=10)
    assert failed == {"broken": VersionStatus(2, END, NOT_FOUND, "no SavedModel in /models/m/2")}


def test_waiting_for_a_model_without_versions_goes_on(start: NewManager) -> None:
    manager = start()
    manager.configure({"m": {}})
    manager.set_aspired("m", {})
    with pytest.raises(TimeoutError):
        manager.wait_until_loaded(["m"], timeout=0.05)


def wait_aside(manager: Manager, model: str) -> "Future[dict[str, VersionStatus]]":
    pool = ThreadPoolExecutor(1)
    waiting = pool.submit(manager.wait_until_loaded, [model], 10)
    pool.shutdown(wait=False)
    with pytest.raises(FutureTimeoutError):
        waiting.result(timeout=0.05)
    return waiting


def test_waiting_ends_for_a_model_that_is_taken_out_of_the_config(start: NewManager) -> None:
    manager = start()
    manager.configure({"m": {}, "other": {}})
    waiting = wait_aside(manager, "m")
    manager.configure({"other": {}})
    assert waiting.result(timeout=10) == {}


def test_waiting_ends_when_the_manager_is_stopped(start: NewManager) -> None:
    manager = start()
    manager.configure({"m": {}})
    waiting = wait_aside(manager, "m")
    manager.stop()
    with pytest.raises(StoppedError):
        waiting.result(timeout=10)


def test_a_failure_that_is_no_engine_error_ends_the_version_too(
    engine: FakeEngine, start: NewManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise MemoryError("out of memory\nfor real")

    monkeypatch.setattr(engine, "load", load)
    manager = start(max_retries=0)
    manager.set_aspired("m", versions(1))
    engine.wait_for_states("m", {1: END})
    assert manager.statuses("m") == [VersionStatus(1, END, 2, "out of memory for real")]
