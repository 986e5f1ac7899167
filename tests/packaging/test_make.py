import os
import re
import shutil
import subprocess
import sys

import pytest
from project import ROOT

_MAKEFILE = (ROOT / "Makefile").read_text()
# Parts of other targets, of no use by themselves.
_INTERNAL = {"tools", "typing"}


def _make(*arguments, path=None):
    environment = {**os.environ, **({"PATH": str(path)} if path else {})}
    # A make that runs these tests must not hand its flags down.
    environment = {name: value for name, value in environment.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    make = shutil.which("make")
    return subprocess.run(
        [make, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def path_without(tmp_path):
    """Make a PATH on which everything can be found that the Makefile calls, but not the tools named."""

    def make(*missing):
        folder = tmp_path / "bin"
        folder.mkdir()
        for tool in {"awk", "bash", "find", "python3", "cargo", "h2load", "ghz", "mkdir", "ln", "test", "rm", "ls"} - {
            *missing
        }:
            # python3 may be a script of a version manager, which needs more than this PATH.
            if found := sys.executable if tool == "python3" else shutil.which(tool):
                (folder / tool).symlink_to(found)
        return folder

    return make


def test_help_lists_every_target():
    targets = set(re.findall(r"^\.PHONY: (\S+)$", _MAKEFILE, re.MULTILINE)) - _INTERNAL
    done = _make("help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = [line.split(None, 1) for line in done.stdout.splitlines()]
    assert {name for name, _ in listed} == targets
    assert {"demo", "test", "lint", "bench", "wheel", "install", "help"} <= targets
    assert all(len(text) > 10 for _, text in listed)
    assert _make().stdout == done.stdout


@pytest.mark.parametrize(
    "target", ["install", "demo", "test", "lint", "format", "wheel", "bench", "bench-tools", "test-estimator", "clean"]
)
def test_every_target_can_be_planned(target):
    done = _make("-n", target)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", ["install", "demo", "test", "wheel"])
def test_a_missing_rust_toolchain_is_one_clear_line(target, path_without):
    # As if nothing had been installed yet: the marker of the installation is somewhere else.
    done = _make(target, "VENV=build/no-venv", path=path_without("cargo"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: cargo is missing: install a Rust toolchain (1.88 or newer)"
    assert done.stderr.count("error:") == 1
    assert not (ROOT / "build/no-venv").exists()


def test_a_python_too_new_for_estimators_is_one_clear_line(path_without):
    folder = path_without()
    target = "build/no-estimator/.installed"
    installed = ("-o", ".venv/.installed")  # what this test runs in
    done = _make(*installed, target, "ESTIMATOR_VENV=build/no-estimator", "ESTIMATOR_PYTHON=false", path=folder)
    assert done.returncode == 2
    [error] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert error.startswith("error: TensorFlow 2.15 has no wheel for Python 3.")
    assert error.endswith(": install Python 3.11 or 3.10, or set ESTIMATOR_PYTHON=...")
    assert not (ROOT / "build/no-estimator").exists()


def test_a_missing_python_is_one_clear_line(path_without):
    done = _make("install", "VENV=build/no-venv", path=path_without("python3"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == ("error: python3 is missing: install Python 3.10 or newer, or set PYTHON=...")


def test_an_old_python_is_one_clear_line(path_without):
    folder = path_without("python3")
    old = folder / "python3"
    old.write_text("#!/bin/bash\nexit 1\n")  # what `sys.exit(sys.version_info < (3, 10))` gives
    old.chmod(0o755)
    done = _make("install", "VENV=build/no-venv", path=folder)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: python3 is older than 3.10: set PYTHON=..."


@pytest.mark.parametrize("tool", ["h2load", "ghz"])
def test_a_missing_load_generator_is_one_clear_line(tool, path_without):
    folder = path_without(tool)
    other = folder / ("ghz" if tool == "h2load" else "h2load")
    if not other.exists():
        other.symlink_to(shutil.which("true"))
    # -o: the installation counts as done.
    done = _make("-o", "install", "bench", f"BENCH_TOOLS={folder}", path=folder)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"error: {tool} is missing: run 'make bench-tools'"
