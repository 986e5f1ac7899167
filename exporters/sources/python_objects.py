"""Python objects that options name: `pkg.mod:object` or `file.py:object`."""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tfs.exporters.estimator_names import hint_for
from tfs.exporters.tensorflow_runtime import first_line
from tfs.savedmodel.errors import TfsError, UsageError

__all__ = ["call_factory", "load_object", "module_file", "referred_to"]


def call_factory(factory: Any, source: str) -> Any:
    """Return what a function without arguments, which `source` names, returns.

    Raises:
        TfsError: it fails.
    """
    try:
        return factory()
    except Exception as error:
        raise TfsError(f"`{source}` failed: {first_line(error)}", hint_for(error)) from error


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


def referred_to(function: Any) -> tuple[Any, ...]:
    """Return what the code of a function, or of a tf.function, names but does not make itself: closure and globals."""
    code = inspect.unwrap(getattr(function, "python_function", function))
    if not inspect.isfunction(code):
        return ()
    variables = inspect.getclosurevars(code)
    return (*variables.nonlocals.values(), *variables.globals.values())


def module_file(module_name: str) -> Path | None:
    """Return the file of a module that was loaded under this name, `pkg.mod` or `file.py`; None if there is none."""
    path = Path(module_name)
    if path.suffix == ".py" and path.is_file():
        return path
    file = getattr(sys.modules.get(module_name), "__file__", None)
    return Path(file) if file else None


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
        raise TfsError(f"module `{name}` failed: {first_line(error)}", hint_for(error)) from error


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
        raise TfsError(f"`{path}` failed: {first_line(error)}", hint_for(error)) from error
    return module
