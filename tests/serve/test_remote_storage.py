"""Versions behind a URL, here in fsspec's memory."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fake_engine import FakeEngine, engine_error

from tfs.savedmodel.errors import TfsError
from tfs.serve.config import ModelConfig
from tfs.serve.local_cache import LocalCache
from tfs.serve.remote_storage import RemoteStorage
from tfs.serve.storage import FetchingDataPlane, Storage, base_path_of
from tfs.serve.version_policy import AllVersions, LatestVersions, SpecificVersions

BASE = "memory://models/m"


@pytest.fixture
def memory() -> Iterator[Any]:
    file_system = fsspec.filesystem("memory")
    file_system.store.clear()
    file_system.pseudo_dirs[:] = [""]
    yield file_system
    file_system.store.clear()


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[RemoteStorage]:
    cache = LocalCache(str(tmp_path / "cache"))
    yield RemoteStorage(cache)
    cache.close()


def put(memory: Any, *versions: str, file: str = "saved_model.pb") -> None:
    for version in versions:
        memory.pipe(f"/models/m/{version}/{file}", b"graph")
        memory.pipe(f"/models/m/{version}/variables/variables.index", b"index")


def test_versions_are_the_directories_below_the_base(memory: Any, remote: RemoteStorage) -> None:
    put(memory, "1", "007", "7", "best", "1.5")
    memory.pipe("/models/m/8", b"a file")
    found = remote.find(BASE, AllVersions())
    assert found.paths == {1: f"{BASE}/1", 7: f"{BASE}/7"}
    assert found.ignored == []


def test_a_version_that_is_not_whole_waits(memory: Any, remote: RemoteStorage) -> None:
    put(memory, "1", "2")
    put(memory, "3", "4", file="saved_model.pb.part")
    found = remote.find(BASE, LatestVersions(1))
    assert found.paths == {1: f"{BASE}/1", 2: f"{BASE}/2"}
    assert found.ignored == [f"`{BASE}/{version}` is ignored: it holds no saved_model.pb" for version in (4, 3)]
    memory.pipe("/models/m/4/saved_model.pbtxt", b"graph")
    assert max(remote.find(BASE, LatestVersions(1)).paths) == 4


def test_a_tflite_model_makes_a_version_if_it_may(memory: Any, tmp_path: Path) -> None:
    put(memory, "1", file="model.tflite")
    storage = Storage(str(tmp_path), ("saved_model.pb", "model.tflite"))
    model = ModelConfig("m", BASE)
    assert storage.find(model).paths == {1: f"{BASE}/1"}
    assert Path(storage.fetch(f"{BASE}/1"), "model.tflite").read_bytes() == b"graph"
    storage.close()


def test_a_look_is_one_list_call(memory: Any, remote: RemoteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    put(memory, "1", "2", "3")
    assert set(remote.find(BASE, LatestVersions(1)).paths) == {1, 2, 3}
    calls: list[str] = []
    for name in ("ls", "info", "find", "exists"):
        original = getattr(type(memory), name)

        def counted(self: Any, *args: Any, name: str = name, original: Any = original, **options: Any) -> Any:
            calls.append(name)
            return original(self, *args, **options)

        monkeypatch.setattr(type(memory), name, counted)
    assert set(remote.find(BASE, LatestVersions(1)).paths) == {1, 2, 3}
    assert calls == ["ls"]


def test_a_base_that_cannot_be_listed_is_named(memory: Any, remote: RemoteStorage) -> None:
    with pytest.raises(TfsError, match="cannot list the base path `memory://nowhere`: there is nothing"):
        remote.find("memory://nowhere", AllVersions())
    with pytest.raises(TfsError, match="cannot list the base path `what://ever`: ValueError: Protocol not known: what"):
        remote.find("what://ever", AllVersions())


def test_a_package_that_is_missing_is_named_with_its_extra(
    remote: RemoteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(TfsError, match=r"cannot list the base path `gs://bucket/m`: .*gcsfs") as caught:
        remote.find("gs://bucket/m", AllVersions())
    assert caught.value.hint == "pip install 'tfs[gs]'"


def test_a_copy_lives_as_long_as_somebody_uses_it(memory: Any, remote: RemoteStorage, tmp_path: Path) -> None:
    put(memory, "1")
    first, second = remote.fetch(f"{BASE}/1"), remote.fetch(f"{BASE}/1")
    assert first == second
    files = {str(path.relative_to(first)): path.read_bytes() for path in Path(first).rglob("*") if path.is_file()}
    assert files == {"saved_model.pb": b"graph", "variables/variables.index": b"index"}
    remote.release(f"{BASE}/1")
    assert Path(first).exists()
    remote.release(f"{BASE}/1")
    assert not Path(first).exists()
    assert remote.fetch(f"{BASE}/1") != first


def test_two_who_want_the_same_download_it_once(
    memory: Any, remote: RemoteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(memory, "1")
    original, began, go_on = type(memory).get_file, threading.Event(), threading.Event()
    downloads: list[str] = []

    def slow(self: Any, path: str, *args: Any, **options: Any) -> Any:
        downloads.append(path)
        began.set()
        assert go_on.wait(10)
        return original(self, path, *args, **options)

    monkeypatch.setattr(type(memory), "get_file", slow)
    with ThreadPoolExecutor(2) as pool:
        copies = [pool.submit(remote.fetch, f"{BASE}/1") for _ in range(2)]
        assert began.wait(10)
        go_on.set()
        assert copies[0].result(10) == copies[1].result(10)
    assert len(downloads) == 2, "each of the two files once"


def test_a_download_that_fails_leaves_nothing_and_may_be_repeated(
    memory: Any, remote: RemoteStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(memory, "1")
    with monkeypatch.context() as broken:
        broken.setattr(type(memory), "get_file", lambda *_, **__: 1 / 0)
        with pytest.raises(TfsError, match=f"cannot download `{BASE}/1`: ZeroDivisionError"):
            remote.fetch(f"{BASE}/1")
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["lock"]
    assert Path(remote.fetch(f"{BASE}/1"), "saved_model.pb").exists()


def test_a_name_that_leads_out_of_the_version_is_refused(
    memory: Any, remote: RemoteStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(memory, "1")
    evil = "/models/m/1/../../../evil"
    monkeypatch.setattr(type(memory), "find", lambda *_, **__: {evil: {"size": 5}})
    with pytest.raises(TfsError, match="is no name of a file in a SavedModel"):
        remote.fetch(f"{BASE}/1")
    assert not list(tmp_path.rglob("evil"))


def test_the_engine_sees_a_directory_that_goes_after_the_unload(memory: Any, tmp_path: Path) -> None:
    put(memory, "1")
    seen: list[str] = []

    class Engine(FakeEngine):
        def load(self, model: str, version: int, path: str, **options: Any) -> Any:
            seen.append(path)
            assert Path(path, "saved_model.pb").exists()
            if len(seen) == 1:
                raise engine_error(5, "broken")
            return super().load(model, version, path, **options)

    storage = Storage(str(tmp_path / "cache"))
    engine = FetchingDataPlane(Engine(), storage)
    with pytest.raises(Exception, match="broken"):
        engine.load("m", 1, f"{BASE}/1", tags=("serve",), warmup=True, warmup_iterations=1)
    assert not Path(seen[0]).exists(), "what did not load is fetched again"
    engine.load("m", 1, f"{BASE}/1", tags=("serve",), warmup=True, warmup_iterations=1)
    engine.route("m", [1], {})
    engine.route("m", [], {})
    engine.unload("m", 1)
    assert not Path(seen[1]).exists()
    storage.close()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/models/m", "/models/m"),
        ("/models/../m/", "/m"),
        ("file:///models/m", "/models/m"),
        ("s3://bucket/m", "s3://bucket/m"),
    ],
)
def test_base_paths(text: str, path: str) -> None:
    assert base_path_of(text) == path


def test_local_versions_are_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    storage = Storage()
    for base in (str(tmp_path), f"file://{tmp_path}"):
        found = storage.find(ModelConfig("m", base, SpecificVersions(frozenset({1}))))
        assert found.paths == {1: str(tmp_path / "1")}
    assert storage.fetch(found.paths[1]) == found.paths[1]
    storage.release(found.paths[1])
    assert (tmp_path / "1").exists()
