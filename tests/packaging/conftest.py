"""The wheel as `make wheel` builds it, and an environment that has it instead of the sources."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from project import ROOT


@dataclass(frozen=True)
class Installed:
    """A virtual environment in which the wheel is installed, and the shell's environment when it is active.

    There is no Rust toolchain on its PATH, nothing of the sources on its module path.
    """

    folder: Path
    environment: dict[str, str]

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, *command, cwd):
        return subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The one wheel that `make wheel` leaves."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        ["make", "wheel", f"DIST={folder}", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = folder.iterdir()
    assert done.stdout.splitlines()[-1] == str(built)
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """The wheel in an environment of its own, which shares the heavy dependencies with this one."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True, timeout=120)
    [packages] = folder.glob("lib/python*/site-packages")
    # A path in a .pth file is looked at for modules, but its own .pth files are not: the editable install stays out.
    # The first one: once TensorFlow is imported it adds places of its own.
    tensorflow = find_spec("tensorflow").submodule_search_locations[0]
    (packages / "dependencies.pth").write_text(f"{Path(tensorflow).parent}\n")
    assert shutil.which("cargo", path="/usr/bin:/bin") is None
    kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "TMPDIR")}
    return Installed(folder, {**kept, "PATH": f"{folder / 'bin'}:/usr/bin:/bin", "COLUMNS": "120", "NO_COLOR": "1"})
