import logging
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from tfs.savedmodel.errors import TfsError
from tfs.serve.config import ModelConfig
from tfs.serve.source import SAVED_MODEL_FILES, TFLITE_FILE, Source, find_versions
from tfs.serve.version_policy import LatestVersions, SpecificVersions, VersionPolicy


def publish(base: Path, *names: str, file: str = "saved_model.pb") -> None:
    for name in names:
        (base / name).mkdir(parents=True)
        (base / name / file).touch()


class Told:
    """What a source has said: the last answer per model, and a way to wait for the next."""

    def __init__(self) -> None:
        self.aspired: dict[str, dict[int, str]] = {}
        self.polls = 0
        self._more = threading.Condition()

    def __call__(self, model: str, versions: Mapping[int, str]) -> None:
        with self._more:
            self.aspired[model] = dict(versions)
            self.polls += 1
            self._more.notify_all()

    def wait_for_polls(self, number: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: self.polls >= number, timeout=10)


def model(base: Path, policy: VersionPolicy | None = None, name: str = "m") -> ModelConfig:
    return ModelConfig(name, str(base), policy or LatestVersions())


def follow(models: list[ModelConfig], told: Told, wait_seconds: float) -> Source:
    """Return a source that has looked at the models once, unless it never does."""
    source = Source(lambda model: find_versions(model.base_path), told, wait_seconds)
    source.replace(models)
    return source


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("1", 1),
        ("0", 0),
        ("00000123", 123),
        ("1700000000", 1700000000),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1e3", None),
        ("v1", None),
        (" 1", None),
        ("٣", None),
        (".2.tmp-abc", None),
    ],
)
def test_a_version_is_a_directory_with_a_decimal_name(tmp_path: Path, name: str, version: int | None) -> None:
    publish(tmp_path, name)
    found = find_versions(str(tmp_path)).paths
    assert found == ({} if version is None else {version: str(tmp_path / name)})


def test_a_text_format_saved_model_is_a_version(tmp_path: Path) -> None:
    publish(tmp_path, "1", file="saved_model.pbtxt")
    assert find_versions(str(tmp_path)).paths == {1: str(tmp_path / "1")}


def test_a_directory_without_a_saved_model_is_ignored_and_named(tmp_path: Path) -> None:
    publish(tmp_path, "1")
    publish(tmp_path, "2", file="model.keras")
    (tmp_path / "3").touch()
    found = find_versions(str(tmp_path))
    assert set(found.paths) == {1}
    assert found.ignored == [
        f"`{tmp_path}/2` is ignored: it holds no saved_model.pb",
        f"`{tmp_path}/3` is ignored: it holds no saved_model.pb",
    ]


def test_a_tflite_model_makes_a_version_if_it_may(tmp_path: Path) -> None:
    publish(tmp_path, "1", file="model.tflite")
    publish(tmp_path, "2")
    publish(tmp_path, "3", file="model.keras")
    assert find_versions(str(tmp_path)).paths.keys() == {2}
    found = find_versions(str(tmp_path), (*SAVED_MODEL_FILES, TFLITE_FILE))
    assert found.paths.keys() == {1, 2}
    assert found.ignored == [f"`{tmp_path}/3` is ignored: it holds no saved_model.pb or model.tflite"]
    with pytest.raises(TfsError, match="is a TFLite model, not a directory of versions"):
        find_versions(str(tmp_path / "1"), (*SAVED_MODEL_FILES, TFLITE_FILE))


def test_of_two_names_for_one_number_one_is_used_with_a_warning(tmp_path: Path) -> None:
    publish(tmp_path, "7", "007")
    found = find_versions(str(tmp_path))
    assert found.paths == {7: str(tmp_path / "7")}
    assert found.ignored == [f"`{tmp_path}/007` is ignored: `{tmp_path}/7` is version 7 too"]


def test_a_missing_base_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TfsError, match=r"cannot list the base path `.*/nowhere`: No such file or directory"):
        find_versions(str(tmp_path / "nowhere"))


def test_a_file_as_base_path_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.keras").touch()
    with pytest.raises(TfsError, match="Not a directory"):
        find_versions(str(tmp_path / "model.keras"))


def test_a_saved_model_as_base_path_is_an_error_that_names_its_parent(tmp_path: Path) -> None:
    publish(tmp_path, "1")
    with pytest.raises(TfsError, match="is a SavedModel") as caught:
        find_versions(str(tmp_path / "1"))
    assert str(tmp_path) in caught.value.hint


def test_a_poll_tells_what_the_policy_chooses_for_each_model(tmp_path: Path) -> None:
    publish(tmp_path / "a", "1", "2", "3")
    publish(tmp_path / "b", "1", "2", "3")
    told = Told()
    models = [model(tmp_path / "a", name="a"), model(tmp_path / "b", SpecificVersions(frozenset({1, 3, 5})), name="b")]
    follow(models, told, wait_seconds=1)
    assert told.aspired == {
        "a": {3: str(tmp_path / "a/3")},
        "b": {1: str(tmp_path / "b/1"), 3: str(tmp_path / "b/3")},
    }


def test_a_missing_base_path_ends_the_poll_for_all_models(tmp_path: Path) -> None:
    publish(tmp_path / "a", "1")
    told = Told()
    models = [model(tmp_path / "a", name="a"), model(tmp_path / "b", name="b")]
    with pytest.raises(TfsError):
        follow(models, told, wait_seconds=1)
    assert told.aspired == {}


def test_all_versions_gone_is_told(tmp_path: Path) -> None:
    publish(tmp_path, "1")
    told = Told()
    source = follow([model(tmp_path)], told, wait_seconds=1)
    shutil.rmtree(tmp_path / "1")
    source.poll_once()
    assert told.aspired == {"m": {}}


def test_polling_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    publish(tmp_path, "1")
    told = Told()
    source = follow([model(tmp_path)], told, wait_seconds=0.01)
    source.start()
    told.wait_for_polls(2)
    publish(tmp_path, "2")
    told.wait_for_polls(told.polls + 2)
    assert told.aspired == {"m": {2: str(tmp_path / "2")}}
    source.stop()
    polls = told.polls
    assert not threading.Event().wait(0.1)
    assert told.polls == polls


@pytest.mark.parametrize(("wait_seconds", "polls"), [(0, 1), (-1, 0)])
def test_zero_polls_once_and_a_negative_pause_never(tmp_path: Path, wait_seconds: int, polls: int) -> None:
    publish(tmp_path, "1")
    told = Told()
    source = follow([model(tmp_path)], told, wait_seconds)
    source.start()
    assert not threading.Event().wait(0.1)
    source.stop()
    assert told.polls == polls


def test_a_base_path_that_disappears_changes_nothing_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base, away = tmp_path / "m", tmp_path / "away"
    publish(base, "1")
    told = Told()
    source = follow([model(base)], told, wait_seconds=0.01)
    source.start()
    told.wait_for_polls(1)
    base.rename(away)
    assert not threading.Event().wait(0.2)
    polls = told.polls
    away.rename(base)
    told.wait_for_polls(polls + 1)
    source.stop()
    assert told.aspired == {"m": {1: str(base / "1")}}
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [f"nothing is changed: cannot list the base path `{base}`: No such file or directory"]


def test_a_model_without_versions_is_warned_about_once_and_again_after_a_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = follow([model(tmp_path)], Told(), wait_seconds=1)
    for _ in range(2):
        source.poll_once()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    publish(tmp_path, "1")
    source.poll_once()
    shutil.rmtree(tmp_path / "1")
    source.poll_once()
    assert len(caplog.records) == 2
    assert caplog.messages[-1].startswith("m: there is no version to serve yet")


def test_a_specific_policy_that_allows_nothing_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path, "1", "2")
    follow([model(tmp_path, SpecificVersions(frozenset()))], Told(), wait_seconds=1)
    assert caplog.messages == ["m: the version policy allows none of the versions [1, 2]"]


def test_a_source_that_never_looks_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    follow([model(tmp_path)], Told(), wait_seconds=-1).start()
    assert caplog.messages == ["no base path is ever looked at, since the pause between two looks is negative"]


def test_other_models_take_the_place_of_the_old_ones_at_once(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        publish(tmp_path / name, "1", "2")
    told = Told()
    source = follow([model(tmp_path / "a", name="a"), model(tmp_path / "b", name="b")], told, wait_seconds=0)
    source.replace([model(tmp_path / "b", LatestVersions(2), name="b"), model(tmp_path / "c", name="c")])
    assert told.aspired == {
        "a": {},
        "b": {1: str(tmp_path / "b/1"), 2: str(tmp_path / "b/2")},
        "c": {2: str(tmp_path / "c/2")},
    }


def test_models_with_a_base_path_that_cannot_be_listed_change_nothing(tmp_path: Path) -> None:
    publish(tmp_path / "a", "1")
    told = Told()
    source = follow([model(tmp_path / "a", name="a")], told, wait_seconds=1)
    with pytest.raises(TfsError, match="cannot list the base path"):
        source.replace([model(tmp_path / "nowhere", name="b")])
    source.poll_once()
    assert told.aspired == {"a": {1: str(tmp_path / "a/1")}}
    assert told.polls == 2
