import os
import subprocess
import sys
from pathlib import Path

from tfs.savedmodel import tensorflow_paths


def test_the_library_is_the_one_with_the_c_api():
    code = (
        "import ctypes, sys; from tfs.savedmodel.tensorflow_paths import *; "
        "library = ctypes.CDLL(str(tensorflow_library())); library.TF_Version.restype = ctypes.c_char_p; "
        "assert library.TF_Version().decode() == tensorflow_version(), library.TF_Version(); "
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_text_op_libraries_hold_the_tokenizers_and_the_metrics():
    names = {path.name for path in tensorflow_paths.text_op_libraries()}
    assert {"_sentencepiece_tokenizer.so", "_wordpiece_tokenizer.so", "_text_similarity_metric_ops.so"} <= names


_ASK = """
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.tensorflow_paths import tensorflow_library, text_op_libraries
assert text_op_libraries() == []
try:
    tensorflow_library()
except TfsError as error:
    print(error)
"""


def _answer_with_only(folder: Path) -> str:
    """Ask in an interpreter without site-packages, where only `folder` can be imported from."""
    (folder / "tfs").mkdir()
    (folder / "tfs" / "savedmodel").symlink_to(Path(tensorflow_paths.__file__).parent)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-S", "-c", _ASK]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=environment).stdout


def test_a_missing_package_names_the_pip_command(tmp_path):
    answer = _answer_with_only(tmp_path)
    assert answer == "the Python package tensorflow is not installed (pip install tensorflow)\n"


def test_a_wheel_without_the_library_names_the_file(tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").touch()
    answer = _answer_with_only(tmp_path)
    assert "libtensorflow_cc" in answer
    assert "pip install --force-reinstall tensorflow" in answer
