"""Where the installed TensorFlow wheels keep their shared libraries; the one platform-bound module."""

import importlib.util
import sys
from importlib import metadata
from pathlib import Path

from tfs.savedmodel.errors import TfsError

__all__ = ["tensorflow_library", "tensorflow_version", "text_op_libraries"]

# The library in the wheel that exports TensorFlow's C API.
_LIBRARY = "libtensorflow_cc.2.dylib" if sys.platform == "darwin" else "libtensorflow_cc.so.2"


def _package_folder(name: str) -> Path | None:
    # find_spec of a top-level package looks at the path only: nothing is imported.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def tensorflow_library() -> Path:
    """Return the path of the TensorFlow wheel's library with the C API; nothing is imported or loaded.

    Raises:
        TfsError: tensorflow is not installed, or its wheel has no such library.
    """
    folder = _package_folder("tensorflow")
    if folder is None:
        raise TfsError("the Python package tensorflow is not installed", "pip install tensorflow")
    library = folder / _LIBRARY
    if not library.is_file():
        raise TfsError(
            f"`{library}` is missing from the installed tensorflow", "pip install --force-reinstall tensorflow"
        )
    return library


def tensorflow_version() -> str:
    """Return the installed TensorFlow's version from its metadata, as `2.21.0`.

    Raises:
        TfsError: tensorflow is not installed.
    """
    try:
        return metadata.version("tensorflow")
    except metadata.PackageNotFoundError as error:
        raise TfsError("the Python package tensorflow is not installed", "pip install tensorflow") from error


def text_op_libraries() -> list[Path]:
    """Return tensorflow-text's op libraries in a fixed order; empty when tensorflow-text is not installed.

    They are what a model with `TFText>...` or SentencePiece ops needs (`TF_LoadLibrary`, `tf.load_op_library`).
    """
    folder = _package_folder("tensorflow_text")
    if folder is None:
        return []
    return sorted((folder / "python").glob("*/_*.so"))
