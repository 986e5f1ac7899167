"""Keras 3 models: `.keras` and `.h5` files, or objects."""

from pathlib import Path
from typing import Any

from tfs.exporters.options import ExportOptions
from tfs.exporters.signatures import DEFAULT_SIGNATURE, ModelWithFunctions
from tfs.exporters.sources.trained import SourceKind, Trained
from tfs.exporters.tensorflow_runtime import first_line, import_keras
from tfs.savedmodel.errors import TfsError

__all__ = ["Keras3"]

_SUFFIXES = (".keras", ".h5")


class Keras3(SourceKind):
    """Models of the `keras` package."""

    def claims(self, options: ExportOptions) -> bool:  # noqa: D102 - see SourceKind
        return Path(options.source).suffix in _SUFFIXES

    def open(self, options: ExportOptions) -> Trained:  # noqa: D102
        path = Path(options.source)
        if not path.is_file():
            raise TfsError(f"`{path}` does not exist or is no file")
        import_keras()
        import keras

        try:
            model = keras.saving.load_model(path, compile=False)
        except Exception as error:  # zip, HDF5, JSON and any layer's own code may fail
            hint = "if it has custom layers, export pkg.mod:factory, a function that loads it with its custom_objects"
            raise TfsError(f"`{path}` cannot be loaded: {first_line(error)}", hint) from error
        return self.wrap(model, options)

    def takes(self, found: object) -> bool:  # noqa: D102
        import keras

        return isinstance(found, keras.Model)

    def wrap(self, found: Any, options: ExportOptions) -> Trained:  # noqa: D102
        import_keras()
        return ModelWithFunctions(found, lambda: {DEFAULT_SIGNATURE: _calling_model(found)})


def _calling_model(model: Any) -> Any:
    import keras
    import tensorflow as tf

    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise TfsError(
            f"the {type(model).__name__} model does not say what its inputs are",
            f"--signature {DEFAULT_SIGNATURE}=pkg.mod:fn, fn(model) returns a tf.function with an input_signature",
        )
    if isinstance(model, keras.Sequential):
        structure, output, output_names = inputs[0], model.outputs[0], [model.layers[-1].name]
    else:
        structure, output, output_names = model.input, model.output, model.output_names
    aliases = _aliases(structure, [tensor.name for tensor in inputs])
    output_aliases = _aliases(output, output_names)
    specs = [
        tf.TensorSpec(tensor.shape, tensor.dtype, name=alias)
        for tensor, alias in zip(keras.tree.flatten(structure), aliases, strict=True)
    ]

    def call(*tensors: Any) -> dict[str, Any]:
        outputs = model(keras.tree.pack_sequence_as(structure, list(tensors)), training=False)
        return dict(zip(output_aliases, keras.tree.flatten(outputs), strict=True))

    return tf.function(call, input_signature=specs, autograph=False)


def _aliases(structure: Any, names: list[str]) -> list[str]:
    """Name the tensors of a flattened structure: by a flat dictionary's keys, else by `names`; each name once."""
    if isinstance(structure, dict) and len(structure) == len(names):
        return sorted(structure)  # the order in which keras.tree flattens it
    unique: list[str] = []
    for name in names:
        repeats = unique.count(name)
        unique.append(f"{name}_{repeats}" if repeats else name)
    return unique
