"""What `SOURCE` and `--signature` name: a file with a model, or a Python object."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tfs.exporters.tensorflow_runtime import import_keras
from tfs.savedmodel.errors import TfsError, UsageError

__all__ = ["load_model", "load_object"]

_MODEL_SUFFIXES = (".keras", ".h5")


def load_model(source: str) -> Any:
    """Return the Keras model that `source` names.

    Args:
        source: a `.keras` or `.h5` file, or `pkg.mod:object` / `file.py:object` where the object is a Keras model or a
            function without arguments that returns one. Modules are also looked for in the current directory.

    Raises:
        UsageError: `source` is neither.
        TfsError: there is no such file, module or object; it cannot be loaded; or it gives no Keras model.
    """
    path = Path(source)
    is_file = path.suffix in _MODEL_SUFFIXES
    if not is_file and ":" not in source:
        raise UsageError(f"`{source}` is no .keras or .h5 file and no pkg.mod:object or file.py:object")
    if is_file and not path.is_file():
        raise TfsError(f"`{path}` does not exist or is no file")
    import_keras()  # takes seconds: only for a source that may be one
    import keras

    if is_file:
        return _load_file(path)
    found = load_object(source)
    if callable(found) and not isinstance(found, keras.Model):
        found = _call_factory(found, source)
    if not isinstance(found, keras.Model):
        raise TfsError(f"`{source}` gives a {type(found).__name__}, not a Keras model")
    return found


def load_object(name: str) -> Any:
    """Return the object that `pkg.mod:object` or `file.py:object` names; the module is run.

    Raises:
        UsageError: `name` has another form.
        TfsError: the module or object does not exist, or the module fails.
    """
    module_name, _, attribute = name.rpartition(":")
    if not module_name or not attribute:
        raise UsageError(f"`{name}` has not the form pkg.mod:object or file.py:object")
    found: Any = _run_file(Path(module_name)) if module_name.endswith(".py") else _import_module(module_name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise TfsError(f"`{module_name}` has no `{attribute}`")
        found = getattr(found, part)
    return found


def _load_file(path: Path) -> Any:
    import keras

    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # zip, HDF5, JSON and any layer's own code may fail
        hint = "if it has custom layers, export pkg.mod:factory, a function that loads it with its custom_objects"
        raise TfsError(f"`{path}` cannot be loaded: {_first_line(error)}", hint) from error


def _call_factory(factory: Any, source: str) -> Any:
    try:
        return factory()
    except Exception as error:
        raise TfsError(f"`{source}` failed: {_first_line(error)}", "tfs --debug shows where") from error


def _import_module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does; the console script's own folder says nothing to the user
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise TfsError(f"there is no module `{error.name}`", "run in its folder or set PYTHONPATH") from error
        raise TfsError(f"module `{name}` failed: {error}", "install what it needs") from error
    except Exception as error:
        raise TfsError(f"module `{name}` failed: {_first_line(error)}", "tfs --debug shows where") from error


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise TfsError(f"`{path}` does not exist")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # the script's neighbours, as when Python runs it
    name = path.stem
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(path.resolve()):
        return sys.modules[name]  # SOURCE and --signature may name the same file: its model must be one object
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise TfsError(f"`{path}` is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise TfsError(f"`{path}` failed: {_first_line(error)}", "tfs --debug shows where") from error
    return module


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
