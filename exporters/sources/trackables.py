"""A `tf.Module`, or any other trackable object, whose attributes are tf.functions."""

import inspect
from functools import partial
from typing import Any

from tfs.exporters.options import ExportOptions
from tfs.exporters.signatures import ModelWithFunctions
from tfs.exporters.sources.trained import DEFAULT_SIGNATURE, SourceKind, Trained
from tfs.exporters.sources.weights import load_weights

__all__ = ["Trackables"]

_CALL = "__call__"


class Trackables(SourceKind):
    """Objects that TensorFlow's checkpoints know; the most general kind."""

    def takes(self, found: object) -> bool:  # noqa: D102 - see SourceKind
        import tensorflow as tf

        return isinstance(found, tf.__internal__.tracking.Trackable)

    def wrap(self, found: Any, options: ExportOptions) -> Trained:  # noqa: D102
        if options.weights is not None:
            load_weights(found, options.weights, _variables(found))
        functions = _functions_of(found)
        return ModelWithFunctions(
            found, {name: partial(getattr, found, attribute) for name, attribute in functions.items()}
        )


def _variables(module: Any) -> list[Any]:
    import tensorflow as tf

    return [one for one in tf.train.TrackableView(module).descendants() if isinstance(one, tf.Variable)]


def _functions_of(module: Any) -> dict[str, str]:
    """Return by signature name the attributes that are tf.functions and say what their inputs are.

    The only one, or else `__call__`, is `serving_default`; the others go by their own names.
    """
    import tensorflow as tf

    names = [name for name in sorted({*dir(type(module)), *vars(module)}) if not name.startswith("_")]
    functions: dict[str, str] = {}
    for name in (_CALL, *names):
        if isinstance(inspect.getattr_static(module, name, None), property):
            continue  # a tf.function is none, and who knows what it computes
        value = getattr(module, name, None)
        if isinstance(value, tf.types.experimental.PolymorphicFunction) and value.input_signature is not None:
            functions[name] = name
    if DEFAULT_SIGNATURE not in functions and (len(functions) == 1 or _CALL in functions):
        default = next(iter(functions))
        functions = {DEFAULT_SIGNATURE: functions.pop(default), **functions}
    return functions
