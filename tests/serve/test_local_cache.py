import subprocess
import sys
from pathlib import Path

import pytest

from tfs.savedmodel.errors import TfsError
from tfs.serve.local_cache import LocalCache


def test_nothing_is_made_before_the_first_use(tmp_path: Path) -> None:
    LocalCache(str(tmp_path / "cache")).close()
    assert list(tmp_path.iterdir()) == []


def test_a_copy_appears_as_a_whole_and_goes_with_the_cache(tmp_path: Path) -> None:
    cache = LocalCache(str(tmp_path / "cache"))
    seen: list[Path] = []

    def write(directory: Path) -> None:
        seen.append(directory)
        (directory / "a").write_text("1")

    copy = Path(cache.add(1, write))
    assert (copy / "a").read_text() == "1"
    assert seen[0].name.startswith(".tmp-")
    assert not seen[0].exists()
    cache.close()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    cache = LocalCache(str(tmp_path))

    def write(directory: Path) -> None:
        (directory / "a").write_text("half")
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        cache.add(1, write)
    [directory] = tmp_path.iterdir()
    assert [path.name for path in directory.iterdir()] == ["lock"]
    cache.close()


def test_what_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    cache = LocalCache(str(tmp_path))
    with pytest.raises(TfsError, match=r"1,000,000,000,000,000,000 bytes do not fit into `.*`, which has [\d,]+ left"):
        cache.add(10**18, lambda directory: pytest.fail("it was begun"))
    cache.close()


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TfsError, match=r"cannot keep copies in `.*/file`"):
        LocalCache(str(tmp_path / "file")).add(1, lambda directory: None)


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    script = f"""
import os
from tfs.serve.local_cache import LocalCache
LocalCache({str(tmp_path)!r}).add(1, lambda directory: (directory / "a").write_text("1"))
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    [abandoned] = tmp_path.iterdir()
    (tmp_path / "tfs-models-of-somebody").mkdir()
    first, second = LocalCache(str(tmp_path)), LocalCache(str(tmp_path))
    kept = Path(first.add(1, lambda directory: None))
    second.add(1, lambda directory: None)
    assert not abandoned.exists()
    assert kept.exists()
    assert (tmp_path / "tfs-models-of-somebody").exists()
    first.close()
    second.close()
