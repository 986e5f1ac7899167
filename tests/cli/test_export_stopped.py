"""What is left when an export is stopped while the model is made: nothing."""

import signal
import subprocess
import sys
import time

import pytest

_SLOW = """
import pathlib, time

def model():
    pathlib.Path("begun").touch()
    for _ in range(600):  # a signal that comes just before a sleep is seen after it
        time.sleep(0.1)
"""
_RECIPE = "output: models/slow\nexport: {source: 'slow.py:model'}\n"
_COMMANDS = {"export": ["export", "slow.py:model", "-o", "models/slow"], "run": ["run", "slow.yaml"]}


@pytest.fixture
def heeds_interrupts():
    """Commands that are started heed SIGINT also where tests run in the background of a script, which ignores it."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [("export", signal.SIGTERM, 143), ("export", signal.SIGINT, 130), ("run", signal.SIGTERM, 143)],
)
def test_nothing_is_left(tmp_path, monkeypatch, heeds_interrupts, command, number, code):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    (tmp_path / "slow.py").write_text(_SLOW)
    (tmp_path / "slow.yaml").write_text(_RECIPE)
    arguments = [sys.executable, "-m", "tfs.cli", *_COMMANDS[command]]
    with subprocess.Popen(
        arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "begun").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        [staged] = (tmp_path / "models/slow").iterdir()
        assert staged.name.startswith(".1.tmp-")
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (code, "")
    assert "Traceback" not in errors
    assert not (tmp_path / "models").exists()
    assert list(scratch.iterdir()) == []
