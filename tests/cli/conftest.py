"""The `tfs` command as people run it, and a model that it exported."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served import Addresses, serving

from tfs.cli.main import main

Tfs = Callable[..., "subprocess.CompletedProcess[str]"]


_MODEL = """
import keras
import tensorflow as tf

def digits():
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.Flatten()]
    return keras.Sequential([keras.Input((8, 8, 1), name="images"), *layers, keras.layers.Dense(10, name="scores")])

def scores_and_classes(model):
    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, name="images")])
    def serve(images):
        scores = model(images, training=False)
        return {"scores": scores, "classes": tf.argmax(scores, axis=-1)}
    return serve

def words(model):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text"), tf.TensorSpec([], tf.bool, name="up")])
    def serve(text, up):
        return {"text": tf.where(up, tf.strings.upper(text), text), "half": tf.cast(tf.strings.length(text), tf.half)}
    return serve
"""


@pytest.fixture(scope="session")
def tfs() -> Tfs:
    """Run `tfs` with the given arguments in a process; `stdin=`, `cwd=` may be given. Width and colours are pinned."""
    # As a shell has it: other tests of the same process turn TensorFlow's log down for themselves.
    inherited = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment = {**inherited, "COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"}

    def run(*arguments: object, stdin: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tfs.cli", *map(str, arguments)]
        return subprocess.run(
            command, input=stdin, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return run


@pytest.fixture
def tfs_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tfs:
    """Run `tfs` as the fixture `tfs` does, but in this process: TensorFlow is loaded once for all tests.

    What TensorFlow's C++ side writes to stderr is not seen.
    """
    for name, value in (("COLUMNS", "120"), ("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)

    def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        words = ["tfs", *map(str, arguments)]
        handler = signal.getsignal(signal.SIGTERM)
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", words)
            patch.setattr(sys, "path", list(sys.path))
            patch.chdir(cwd or Path.cwd())
            try:
                with pytest.raises(SystemExit) as ended:
                    main()
            finally:
                signal.signal(signal.SIGTERM, handler)
        stdout, stderr = capsys.readouterr()
        return subprocess.CompletedProcess(words, ended.value.code or 0, stdout, stderr)

    return run


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python file with the factory `digits` and the signature functions `scores_and_classes` and `words`."""
    file = tmp_path_factory.mktemp("source") / "digits_model.py"
    file.write_text(_MODEL)
    return file


@pytest.fixture(scope="session")
def exported(tfs: Tfs, model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version directory that `tfs export` wrote, number 1, with two signatures; not to be written to."""
    base = tmp_path_factory.mktemp("models") / "digits"
    named = [f"serving_default={model_file}:scores_and_classes", f"words={model_file}:words"]
    done = tfs("export", f"{model_file}:digits", "-o", base, "--signature", named[0], "--signature", named[1])
    assert done.returncode == 0, done.stderr
    return base / "1"


@pytest.fixture(scope="session")
def server(exported: Path) -> Iterator[Addresses]:
    """A server with the exported model as `digits`."""
    with serving("digits", exported.parent) as addresses:
        yield addresses
