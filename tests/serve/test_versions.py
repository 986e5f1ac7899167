"""How a running server follows what lies under its base paths; each test has a model of its own on one server."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from running_server import AVAILABLE, END, UNLOADING, Models, RunningServer, publish

from tfs.serve.states import State

_MODELS = {
    # The first one: a poll that sees a change of it looks at all others later. See `polls_pass`.
    "all_versions": "model_version_policy { all { } }",
    "replaced": "",
    "rolled_back": "",
    "broken": "",
    "recovering": "",
    "older": "",
    "emptied": "",
    "flowing": "",
    "half_written": "",
    "pinned": "",
    "missing_base": "",
    "two_latest": "model_version_policy { latest { num_versions: 2 } }",
    "specific": "model_version_policy { specific { versions: 1 versions: 3 } }",
    "labelled": 'version_labels { key: "stable" value: 1 }',
}


@dataclass
class Served:
    """One model on the module's server."""

    server: RunningServer
    models: Models
    name: str
    base: Path

    def publish_two(self, version: int | str) -> Path:
        return publish(self.models.half_plus_two, self.base, version)

    def publish_three(self, version: int | str) -> Path:
        return publish(self.models.half_plus_three, self.base, version)

    def wait_for(self, states: dict[int, int]) -> None:
        self.server.wait_for_states(self.name, states)

    def answer(self, version: int | None = None) -> tuple[int, float]:
        return self.server.predict(self.name, 2.0, version=version)

    def refusal(self, version: int | None = None) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.RpcError) as caught:
            self.answer(version)
        return caught.value.code(), caught.value.details()

    def log(self) -> list[str]:
        """Return the lines about this model without their time."""
        return [line.split(maxsplit=3)[3] for line in self.server.lines if f" {self.name} version " in line]

    def polls_pass(self) -> None:
        """Wait until the source has certainly looked at the base path once more."""
        marker = self.base.parent / "all_versions"
        number = max(int(path.name) for path in marker.iterdir()) + 1
        publish(self.models.half_plus_two, marker, number)
        self.server.wait_for(lambda: self.server.states("all_versions").get(number) == AVAILABLE)


@pytest.fixture(scope="module")
def server_and_bases(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Path]]:
    folder = tmp_path_factory.mktemp("bases")
    config = []
    for name, extra in _MODELS.items():
        publish(models.half_plus_two, folder / name, 1)
        config.append(f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" {extra} }}')
    file = folder / "models.config"
    file.write_text(f"model_config_list {{ {' '.join(config)} }}")
    server = RunningServer(
        f"--model_config_file={file}",
        "--max_num_load_retries=1",
        "--load_retry_interval_micros=100000",
        "--allow_version_labels_for_unavailable_models",
    )
    yield server.wait_until_ready(), folder
    assert server.stop() == 0, server.log


@pytest.fixture
def served(server_and_bases: tuple[RunningServer, Path], models: Models) -> Callable[[str], Served]:
    server, folder = server_and_bases
    return lambda name: Served(server, models, name, folder / name)


def test_a_new_version_is_picked_up_and_the_old_one_unloaded(served: Callable[[str], Served]) -> None:
    model = served("replaced")
    assert model.answer() == (1, 3.0)
    model.publish_three(2)
    model.wait_for({2: AVAILABLE, 1: END})
    assert model.answer() == (2, 4.0)
    assert model.refusal(version=1) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(replaced, 1)",
    )
    log = [line.rsplit(" in ", 1)[0] for line in model.log() if " -> " in line]
    assert log == [
        f"replaced version 1: START -> LOADING from {model.base}/1",
        "replaced version 1: LOADING -> AVAILABLE",
        f"replaced version 2: START -> LOADING from {model.base}/2",
        "replaced version 2: LOADING -> AVAILABLE",
        "replaced version 1: AVAILABLE -> UNLOADING",
        "replaced version 1: UNLOADING -> END",
    ]


def test_the_server_falls_back_when_the_newest_version_disappears(served: Callable[[str], Served]) -> None:
    model = served("rolled_back")
    newest = model.publish_three(2)
    model.wait_for({2: AVAILABLE, 1: END})
    shutil.rmtree(newest)
    model.wait_for({2: END, 1: AVAILABLE})
    assert model.answer() == (1, 3.0)


def test_a_broken_new_version_leaves_the_old_one_serving(served: Callable[[str], Served]) -> None:
    model = served("broken")
    (model.base / "2").mkdir()
    whole = (model.models.half_plus_two / "saved_model.pb").read_bytes()
    (model.base / "2" / "saved_model.pb").write_bytes(whole[: len(whole) // 2])
    model.wait_for({2: END, 1: AVAILABLE})
    assert model.answer() == (1, 3.0)
    ended = model.server.status("broken")[0]
    assert ended.version == 2
    assert ended.status.error_code != 0
    assert ended.status.error_message
    assert "\n" not in ended.status.error_message
    attempts = [line for line in model.log() if "attempt" in line]
    assert len(attempts) == 2, "the first attempt and one retry"
    assert ended.status.error_message in attempts[1]


def test_a_broken_version_that_is_mended_is_loaded_once_it_has_been_away(served: Callable[[str], Served]) -> None:
    model = served("recovering")
    broken = model.base / "2"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"no proto")
    model.wait_for({2: END, 1: AVAILABLE})
    shutil.rmtree(broken)
    model.polls_pass()
    model.publish_three(2)
    model.wait_for({2: AVAILABLE, 1: END})
    assert model.server.status("recovering")[0].status.error_code == 0
    assert model.answer() == (2, 4.0)


def test_an_older_version_that_is_added_is_not_loaded(served: Callable[[str], Served]) -> None:
    model = served("older")
    model.publish_three(0)
    model.polls_pass()
    assert model.server.states("older") == {1: AVAILABLE}


def test_all_versions_gone_is_not_found_and_polling_goes_on(served: Callable[[str], Served]) -> None:
    model = served("emptied")
    shutil.rmtree(model.base / "1")
    model.wait_for({1: END})
    assert model.refusal() == (grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(emptied)")
    model.publish_three("0007")
    model.wait_for({7: AVAILABLE, 1: END})
    assert model.answer() == (7, 4.0)


def test_no_request_fails_while_versions_change_over(served: Callable[[str], Served]) -> None:
    model = served("flowing")
    versions: list[int] = []
    failures: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                versions.append(model.answer()[0])
            except grpc.RpcError as error:
                failures.append(error)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for version in (2, 3):
        model.publish_three(version)
        model.server.wait_for(lambda version=version: version in versions[-10:])
    model.wait_for({3: AVAILABLE, 2: END, 1: END})
    done.set()
    for asker in askers:
        asker.join()
    assert failures == []
    assert set(versions) == {1, 2, 3}


def test_a_request_keeps_its_version_until_it_is_answered(served: Callable[[str], Served]) -> None:
    model = served("pinned")
    publish(model.models.slow, model.base, 2)
    model.wait_for({2: AVAILABLE, 1: END})
    steps = 1_200_000.0  # about four seconds, in which version 3 is found and loaded
    answers: list[tuple[int, float]] = []
    asker = threading.Thread(target=lambda: answers.append(model.server.predict("pinned", steps)))
    asker.start()
    model.publish_three(3)
    model.wait_for({3: AVAILABLE, 2: UNLOADING, 1: END})
    assert answers == []
    assert model.answer() == (3, 4.0), "new requests already go to the new version"
    asker.join()
    assert answers == [(2, steps)]
    model.wait_for({3: AVAILABLE, 2: END, 1: END})


def test_what_is_no_version_is_ignored(served: Callable[[str], Served]) -> None:
    model = served("half_written")
    (model.base / "2").mkdir()
    (model.base / "best").mkdir()
    shutil.copytree(model.models.half_plus_three, model.base / ".3.tmp-abc")
    model.polls_pass()
    assert model.server.states("half_written") == {1: AVAILABLE}
    assert model.server.log.count(f"`{model.base}/2` is ignored: it holds no saved_model.pb") == 1
    shutil.copytree(model.models.half_plus_three / "variables", model.base / "2" / "variables")
    shutil.copy(model.models.half_plus_three / "saved_model.pb", model.base / "2")
    model.wait_for({2: AVAILABLE, 1: END})


def test_a_base_path_that_disappears_changes_nothing_for_any_model(served: Callable[[str], Served]) -> None:
    model = served("missing_base")
    away = model.base.with_name("away")
    model.base.rename(away)
    model.server.wait_for_line(r"ERROR nothing is changed: cannot list the base path `.*/missing_base`")
    assert model.answer() == (1, 3.0)
    away.rename(model.base)
    model.polls_pass()
    assert model.server.states("missing_base") == {1: AVAILABLE}


def test_latest_two_serves_two(served: Callable[[str], Served]) -> None:
    model = served("two_latest")
    model.publish_three(2)
    model.wait_for({2: AVAILABLE, 1: AVAILABLE})
    model.publish_three(3)
    model.wait_for({3: AVAILABLE, 2: AVAILABLE, 1: END})
    assert model.answer() == (3, 4.0)
    assert model.answer(version=2) == (2, 4.0)


def test_specific_serves_only_the_versions_listed(served: Callable[[str], Served]) -> None:
    model = served("specific")
    model.publish_three(2)
    model.publish_three(3)
    model.wait_for({3: AVAILABLE, 1: AVAILABLE})
    assert model.answer(version=1) == (1, 3.0)
    assert model.refusal(version=2)[0] == grpc.StatusCode.NOT_FOUND


def test_a_label_of_the_config_file_reaches_its_version(served: Callable[[str], Served]) -> None:
    model = served("labelled")
    reply = model.server.rest_predict("labelled/labels/stable", 2.0)
    assert (reply.status_code, reply.json()) == (200, {"predictions": [3.0]})


def test_states_are_those_of_the_api(served: Callable[[str], Served]) -> None:
    from tfs.savedmodel import protos

    states = protos.load("get_model_status_pb2").ModelVersionStatus.State
    assert {state.name: state.value for state in State} == {
        name: number for name, number in states.items() if name != "UNKNOWN"
    }
    assert served("replaced").server.status("replaced")[0].state in set(State)
