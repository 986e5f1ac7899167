"""What `assets.extra/tfs_export.json` says of a version."""

import hashlib
import json
import subprocess
from datetime import datetime, timedelta, timezone
from importlib import metadata

import numpy as np
import pytest
from serving import MODELS, answers, exported

from tfs.savedmodel.reading import read_saved_model


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A git repository with a module, and its commit."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "scaler.py").write_text(MODELS.read_text())

    def git(*command):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        done = subprocess.run(["git", *identity, *command], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "A model")
    return folder, git("rev-parse", "HEAD")


def _provenance(version):
    return json.loads((version / "assets.extra" / "tfs_export.json").read_text())


def test_source_commit_versions_hash_and_time(repository, tmp_path):
    folder, commit = repository
    source = f"{folder / 'scaler.py'}:Scaler"
    done = exported(source, tmp_path, as_text=True)
    said = _provenance(done.path)
    assert list(said) == ["options", "sha256", "git", "tfs", "tensorflow", "keras", "time"]
    assert said["options"] == {"source": source, "as_text": True}
    assert said["sha256"] == {source: hashlib.sha256((folder / "scaler.py").read_bytes()).hexdigest()}
    assert said["git"] == {"commit": commit, "changed": False}
    assert (said["tfs"], said["tensorflow"]) == (metadata.version("tfs"), metadata.version("tensorflow"))
    age = datetime.now(timezone.utc) - datetime.fromisoformat(said["time"])
    assert timedelta(0) <= age < timedelta(minutes=5)

    # The same version is text.
    assert (done.path / "saved_model.pbtxt").is_file()
    assert not (done.path / "saved_model.pb").exists()
    assert read_saved_model(done.path).meta_graphs[0].meta_info_def.tags == ["serve"]
    inputs = {"x": np.float32([[1, 1]]), "unit": np.array([[b"kg"]], object)}
    assert answers(done.path, inputs)["y"].tolist() == [[2000, 3000]]


def test_a_changed_file_a_folder_as_source_and_no_repository(repository, tmp_path):
    folder, commit = repository
    first = exported(f"{folder / 'scaler.py'}:Scaler", tmp_path / "first")
    (folder / "scaler.py").write_text(MODELS.read_text() + "\n# changed\n")
    changed = _provenance(exported(f"{folder / 'scaler.py'}:Scaler", tmp_path / "changed").path)
    assert changed["git"] == {"commit": commit, "changed": True}
    again = _provenance(exported(first.path, tmp_path / "again").path)
    assert again["git"] is None
    listed = "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file.relative_to(first.path).as_posix()}\n"
        for file in sorted(first.path.rglob("*"))
        if file.is_file()
    )
    assert again["sha256"] == {str(first.path): hashlib.sha256(listed.encode()).hexdigest()}
