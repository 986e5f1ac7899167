"""Versions below a base path, on the local disk and behind a URL (here in fsspec's memory)."""

import time
from pathlib import Path

import fsspec
import pytest

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import saved_model_pb2
from tfs.savedmodel.reading import read_saved_model
from tfs.savedmodel.version_publishing import publish_version, write_as_text


@pytest.fixture(params=["local", "remote"])
def base(request, tmp_path):
    """A base path or URL that does not exist yet."""
    if request.param == "local":
        yield str(tmp_path / "models")
        return
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield "memory://bucket/models"
    store.store.clear()


def _fill(directory, content="graph"):
    (directory / "variables").mkdir()
    (directory / "variables" / "variables.index").write_text(content)
    (directory / "saved_model.pb").write_text(content)


def _files(base):
    """What lies below the base, by name."""
    system, root = fsspec.core.url_to_fs(base)
    return {name.removeprefix(root).lstrip("/"): system.cat_file(name).decode() for name in sorted(system.find(root))}


def _publish(base, content="graph", **how):
    with publish_version(base, **how) as staged:
        assert list(staged.directory.iterdir()) == []
        _fill(staged.directory, content)
    return staged


def test_versions_count_up(base):
    assert str(_publish(base).path) == f"{base}/1"
    assert _publish(base, version=7).number == 7
    assert _publish(base).number == 8
    assert _files(base) == {
        f"{number}/{name}": "graph" for number in (1, 7, 8) for name in ("saved_model.pb", "variables/variables.index")
    }


def test_names_that_only_look_like_numbers_do_not_count(tmp_path):
    for name in ("3", "007", "x9", "-12", "\u0669"):
        (tmp_path / name).mkdir()
    assert _publish(str(tmp_path)).number == 8


def test_a_timestamp_is_now(base):
    before = int(time.time())
    assert before <= _publish(base, version="timestamp").number <= time.time()


def test_a_version_that_exists_is_only_replaced_when_told(base):
    _publish(base, version=3)
    with pytest.raises(TfsError, match=r"models/3` exists already \(another --version, or --overwrite\)"):
        _publish(base, "other", version=3)
    assert set(_files(base).values()) == {"graph"}
    _publish(base, "other", version=3, overwrite=True)
    assert set(_files(base).values()) == {"other"}
    assert len(_files(base)) == 2


def test_nothing_appears_when_the_writer_fails(base, tmp_path):
    def fail():
        with publish_version(base, 3) as staged:
            _fill(staged.directory)
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail()
    assert _files(base) == {}
    assert list(tmp_path.iterdir()) == []


def test_the_graph_is_uploaded_last_and_what_was_uploaded_goes_if_it_fails(monkeypatch):
    store = fsspec.filesystem("memory")
    store.store.clear()
    seen = []

    def put_file(self, local, name, **options):
        seen.append(name.rpartition("/")[2])
        if name.endswith("saved_model.pb"):
            assert list(_files("memory://bucket/models")) == ["1/variables/variables.index"]
            raise ConnectionError("the line is\ndown")
        self.pipe_file(name, Path(local).read_bytes())

    monkeypatch.setattr(type(store), "put_file", put_file)
    with pytest.raises(TfsError, match=r"cannot write `memory://bucket/models/1`: ConnectionError: the line is down"):
        _publish("memory://bucket/models")
    assert seen == ["variables.index", "saved_model.pb"]
    assert _files("memory://bucket/models") == {}


def test_an_unknown_kind_of_url_is_told():
    with pytest.raises(TfsError, match="cannot write to `nowhere://bucket`: ValueError: Protocol not known"):
        _publish("nowhere://bucket")


def test_a_model_as_text_reads_as_the_same(tmp_path):
    model = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.graph_def.node.add(name="c", op="Const").attr["value"].s = b"\xff\x00bytes"
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    write_as_text(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["saved_model.pbtxt"]
    assert read_saved_model(tmp_path) == model
