"""What Predict, Classify and Regress ask of a signature's inputs and outputs, as servers check it at each request."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError

__all__ = ["EXAMPLES", "check_inputs", "examples_input", "for_method", "reply_problem"]

EXAMPLES = "inputs"  # the one input of Classify and Regress
_CLASSES, _SCORES, _VALUES = "classes", "scores", "outputs"


def examples_input(method: str) -> str:
    """Return the name of the input that takes serialized examples."""
    return "examples" if method == "predict" else EXAMPLES


def check_inputs(where: str, method: str, inputs: list[Any]) -> None:
    """Check that a signature's inputs, TensorSpecs, are what requests of a method fill in.

    Raises:
        TfsError: a signature for Classify or Regress takes something else than examples.
    """
    if method != "predict" and [(one.name, one.dtype.name) for one in inputs] != [(EXAMPLES, "string")]:
        names = ", ".join(f"`{one.name}` ({one.dtype.name})" for one in inputs)
        raise TfsError(
            f"{where}: {method} takes serialized examples in one input `{EXAMPLES}`, not {names}",
            "say under `features` what to parse out of them",
        )


def for_method(where: str, method: str, outputs: dict[str, Any], *, chosen: bool) -> dict[str, Any]:
    """Return the outputs as replies of a method need them, float32 scores and values.

    If they were not `chosen` by name, the only output of floats becomes the scores of Classify or the value of Regress.

    Raises:
        TfsError: outputs are missing or too many, or of another dtype or shape.
    """
    if method == "predict":
        return outputs
    wanted = _SCORES if method == "classify" else _VALUES
    floats = [name for name, value in outputs.items() if value.dtype.is_floating]
    if not chosen and wanted not in outputs and len(floats) == 1:
        outputs = {wanted if name == floats[0] else name: value for name, value in outputs.items()}
    names = set(outputs)
    fits = names == {_VALUES} if method == "regress" else names and names <= {_CLASSES, _SCORES}
    if not fits:
        need = f"one output `{_VALUES}`" if method == "regress" else f"outputs `{_CLASSES}`, `{_SCORES}` or both"
        had = ", ".join(f"`{name}`" for name in sorted(names))
        raise TfsError(f"{where}: {method} replies with {need}, not {had}", "choose and name them under `outputs`")
    return {name: _checked(f"{where}: {method} output `{name}`", name, value) for name, value in outputs.items()}


def reply_problem(method: str, outputs: Mapping[str, np.ndarray], batch_size: int) -> str:
    """Return what keeps the outputs for so many examples from being a reply of Classify or Regress, or nothing."""
    if method not in ("classify", "regress"):
        return ""
    for name, values in outputs.items():
        one_each = values.shape in ((batch_size,), (batch_size, 1))
        if not (one_each if name == _VALUES else values.ndim == 2 and len(values) == batch_size):
            return f"output `{name}` has shape {list(values.shape)} for {batch_size} examples"
    if len({values.shape for values in outputs.values()}) > 1:
        shapes = ", ".join(f"`{name}` {list(values.shape)}" for name, values in sorted(outputs.items()))
        return f"the outputs are not of one shape: {shapes}"
    return ""


def _checked(what: str, name: str, value: Any) -> Any:
    import tensorflow as tf

    if name == _CLASSES and value.dtype != tf.string:
        raise TfsError(f"{what} is {value.dtype.name}, not string", "step `class_names` makes class names of scores")
    if name != _CLASSES and not value.dtype.is_floating:
        raise TfsError(f"{what} is {value.dtype.name}, not float32", "give its dtype under `outputs`")
    shapes = [[None], [None, 1]] if name == _VALUES else [[None, None]]
    if not any(value.shape.is_compatible_with(shape) for shape in shapes):
        expected = "[n] or [n, 1]" if name == _VALUES else "[n, classes]"
        raise TfsError(f"{what} has shape {value.shape}, not {expected}")
    return value if name == _CLASSES or value.dtype == tf.float32 else tf.cast(value, tf.float32)
