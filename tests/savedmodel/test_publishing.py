import pytest

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.publishing import publish_directory


def test_the_directory_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "base" / "3"
    with publish_directory(target) as directory:
        (directory / "saved_model.pb").write_bytes(b"x")
        assert not target.exists()
        assert directory.parent == target.parent
        assert directory.name.startswith(".3.tmp-")
    assert [path.name for path in target.parent.iterdir()] == ["3"]
    assert (target / "saved_model.pb").read_bytes() == b"x"
    assert target.stat().st_mode & 0o777 == 0o755


def test_a_failure_leaves_nothing_not_even_the_folders_above(tmp_path):
    with pytest.raises(FileNotFoundError), publish_directory(tmp_path / "a" / "b" / "1") as directory:
        (directory / "half").write_bytes((tmp_path / "missing").read_bytes())
    assert list(tmp_path.iterdir()) == []


def test_folders_that_others_use_stay(tmp_path):
    (tmp_path / "base" / "1").mkdir(parents=True)
    with pytest.raises(KeyError), publish_directory(tmp_path / "base" / "2"):
        raise KeyError
    assert [path.name for path in (tmp_path / "base").iterdir()] == ["1"]


def test_what_exists_is_not_replaced(tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(TfsError, match="1` exists already"), publish_directory(tmp_path / "1"):
        pytest.fail("the block must not run")
    with pytest.raises(TfsError, match="someone else"), publish_directory(tmp_path / "2"):
        (tmp_path / "2").mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(TfsError, match="1` cannot be written: File exists"),
        publish_directory(tmp_path / "file" / "1"),
    ):
        pytest.fail("the block must not run")
