"""`assets.extra/tfs_export.json`: from what, with what and when a version was written."""

import hashlib
import json
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from tfs.exporters.options import ExportOptions
from tfs.exporters.sources.python_objects import module_file

__all__ = ["PROVENANCE_FILE", "write_provenance"]

PROVENANCE_FILE = Path("assets.extra") / "tfs_export.json"


def write_provenance(options: ExportOptions, directory: Path) -> None:
    """Write the file into a SavedModel.

    Its keys: `options` as given; `sha256` of each file that they name (of a folder: of its files' names and hashes);
    `git`, the commit of the folder in which the source lies and whether something there was changed since, null outside
    of a repository; `tfs`, `tensorflow` and `keras` versions; `time` in UTC.
    """
    named = _named_files(options)
    written = {
        "options": options.model_dump(mode="json", exclude_defaults=True),
        "sha256": {name: _hash(path) for name, path in named.items()},
        "git": _git_state(next((path for path in named.values()), Path.cwd())),
        **{package: _version(package) for package in ("tfs", "tensorflow", "keras")},
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    file = directory / PROVENANCE_FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _named_files(options: ExportOptions) -> dict[str, Path]:
    """Return the files behind the values of the options, by what the options call them."""
    names = [options.source, options.weights, options.sample, options.model_fn, options.checkpoint]
    names += [spec.function for spec in options.signatures.values()]
    return {str(name): path for name in names if name and (path := _file_behind(str(name)))}


def _file_behind(name: str) -> Path | None:
    # A checkpoint is named by the common beginning of its files; the index holds the checksums of the others.
    if (path := Path(name)).exists() or (path := Path(f"{name}.index")).is_file():
        return path
    return module_file(name.rpartition(":")[0])


def _hash(path: Path) -> str:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        listed = "".join(f"{_hash(file)} {file.relative_to(path).as_posix()}\n" for file in files)
        return hashlib.sha256(listed.encode()).hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _git_state(path: Path) -> dict[str, Any] | None:
    folder = path if path.is_dir() else path.parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None  # no git here, no repository, or no commit yet


def _git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
