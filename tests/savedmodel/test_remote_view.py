import dataclasses

import fsspec
import pytest

from tfs.savedmodel.description import describe
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.remote_view import local_view


@pytest.fixture
def bucket(plain_model):
    """The base path of the plain model in a storage that fsspec reaches; version 3, and version 12 without a model."""
    memory = fsspec.filesystem("memory")
    memory.put(str(plain_model), "/bucket/plain", recursive=True)
    memory.pipe("/bucket/plain/notes.txt", b"")
    yield "memory://bucket/plain"
    memory.rm("/bucket", recursive=True)


def test_a_remote_version_is_described_like_the_local_one(bucket, plain_model):
    with local_view(f"{bucket}/3") as view:
        remote = describe(view, shown_as="m")
        data = next((view / "variables").glob("*.data-*"))
        assert set(data.read_bytes()) == {0}, "the values were copied"
    assert remote == dataclasses.replace(describe(plain_model / "3", shown_as="m"))
    assert not view.exists()


def test_a_remote_graph_file_is_copied_alone(bucket, plain_model):
    with local_view(f"{bucket}/3/saved_model.pb") as view:
        assert view.read_bytes() == (plain_model / "3" / "saved_model.pb").read_bytes()


def test_a_local_path_is_itself(plain_model):
    with local_view(str(plain_model)) as view:
        assert view == plain_model


def test_what_cannot_be_read_is_one_line(bucket):
    with pytest.raises(TfsError, match=r"no SavedModel.*name a version: memory://bucket/plain/3\)"), local_view(bucket):
        pass
    with pytest.raises(TfsError, match="`memory://bucket/none` does not exist"), local_view("memory://bucket/none"):
        pass
    with pytest.raises(TfsError, match="cannot read `nosuch://bucket/1`"), local_view("nosuch://bucket/1"):
        pass
