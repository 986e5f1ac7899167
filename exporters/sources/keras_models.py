"""Keras models: `.keras` and `.h5` files or objects, of Keras 3 or of Keras 2."""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from tfs.exporters.options import ExportOptions
from tfs.exporters.signatures import ModelWithFunctions
from tfs.exporters.sources.input_specs import input_specs
from tfs.exporters.sources.keras_calls import calling_model
from tfs.exporters.sources.trained import DEFAULT_SIGNATURE, SourceKind, Trained
from tfs.exporters.sources.weights import load_weights
from tfs.exporters.tensorflow_runtime import first_line, import_keras, import_tensorflow
from tfs.savedmodel.errors import TfsError

__all__ = ["KerasModels"]

_SUFFIXES = (".keras", ".h5", ".hdf5")
_PACKAGES = ("keras", "tf_keras")


class KerasModels(SourceKind):
    """Models and layers of the packages `keras` (2 or 3) and `tf_keras`."""

    def claims(self, options: ExportOptions) -> bool:  # noqa: D102 - see SourceKind
        return Path(options.source).suffix in _SUFFIXES

    def open(self, options: ExportOptions) -> Trained:  # noqa: D102
        path = Path(options.source)
        if not path.is_file():
            raise TfsError(f"`{path}` does not exist or is no file")
        keras = _package_for(path)
        try:
            model = keras.models.load_model(path, compile=False)
        except Exception as error:  # zip, HDF5, JSON and any layer's own code may fail
            hint = "if it has custom layers, export pkg.mod:factory, a function that loads it with its custom_objects"
            if keras.__version__.startswith("2.") and _written_by(path).startswith("3."):
                hint = f"Keras {_written_by(path)} wrote it, this is {keras.__version__}: TensorFlow 2.16 has Keras 3"
            elif _written_by(path).startswith("2.") and not keras.__version__.startswith("2."):
                hint = f"Keras {_written_by(path)} wrote it: pip install tf_keras"
            if _holds_weights_only(path):
                hint = f"it holds weights only: tfs export pkg.mod:function_that_builds_the_model --weights {path}"
            raise TfsError(f"`{path}` cannot be loaded: {first_line(error)}", hint) from error
        return self.wrap(model, options)

    def takes(self, found: object) -> bool:  # noqa: D102
        # A model of a package that has not been imported does not exist.
        return any(isinstance(found, sys.modules[name].layers.Layer) for name in _PACKAGES if name in sys.modules)

    def wrap(self, found: Any, options: ExportOptions) -> Trained:  # noqa: D102
        if type(found).__module__.partition(".")[0] != "tf_keras":
            import_keras()  # says if it does not run on TensorFlow
        specs = input_specs(options)
        if options.weights is not None:
            if specs is not None:
                calling_model(found, specs)  # makes the variables that the weights are for
            load_weights(found, options.weights, found.weights)  # `variables` has random seeds too
        return ModelWithFunctions(found, {DEFAULT_SIGNATURE: lambda: calling_model(found, specs)})


def _package_for(path: Path) -> Any:
    """Import the Keras that reads a file: `tf_keras` for files of Keras 2 if Keras 3 is the installed `keras`."""
    import_tensorflow()
    if _written_by(path).startswith("2."):
        import importlib.util

        if importlib.util.find_spec("tf_keras") is not None:
            import tf_keras

            return tf_keras
    import_keras()
    import keras

    return keras


def _written_by(path: Path) -> str:
    """Return the version of Keras that wrote a file, empty if it does not say."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
        import h5py

        with h5py.File(path) as file:
            version = file.attrs.get("keras_version", "")
            return version.decode() if isinstance(version, bytes) else str(version)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return ""  # loading it will tell what is wrong


def _holds_weights_only(path: Path) -> bool:
    try:
        import h5py

        with h5py.File(path) as file:
            return "model_config" not in file.attrs
    except OSError:
        return False
