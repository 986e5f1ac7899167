"""A `tf.Module`, or any other trackable object, whose attributes are tf.functions."""

from typing import Any

from tfs.exporters.options import ExportOptions
from tfs.exporters.signatures import DEFAULT_SIGNATURE, ModelWithFunctions
from tfs.exporters.sources.trained import SourceKind, Trained

__all__ = ["Trackables"]

_DEFAULT_METHOD = "__call__"


class Trackables(SourceKind):
    """Objects that TensorFlow's checkpoints know; the most general kind."""

    def takes(self, found: object) -> bool:  # noqa: D102 - see SourceKind
        import tensorflow as tf

        return isinstance(found, tf.__internal__.tracking.Trackable)

    def wrap(self, found: Any, options: ExportOptions) -> Trained:  # noqa: D102
        return ModelWithFunctions(found, lambda: _functions_of(found))


def _functions_of(module: Any) -> dict[str, Any]:
    """Return the tf.functions that say what their inputs are, under their own names.

    The only one, or else `__call__`, is `serving_default`.
    """
    import tensorflow as tf

    functions: dict[str, Any] = {}
    for name in sorted(set(dir(type(module))) | set(vars(module))):
        if name.startswith("_") and name != _DEFAULT_METHOD:
            continue
        value = getattr(module, name, None)
        if isinstance(value, tf.types.experimental.PolymorphicFunction) and value.input_signature is not None:
            functions[name] = value
    if DEFAULT_SIGNATURE not in functions and (len(functions) == 1 or _DEFAULT_METHOD in functions):
        name = _DEFAULT_METHOD if _DEFAULT_METHOD in functions else next(iter(functions))
        functions = {DEFAULT_SIGNATURE: functions.pop(name), **functions}
    return functions
