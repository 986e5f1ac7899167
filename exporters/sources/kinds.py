"""All kinds of sources, and which of them a source is."""

from typing import Any

from tfs.exporters.options import ExportOptions
from tfs.exporters.sources.estimators import Estimators
from tfs.exporters.sources.graphs import Graphs
from tfs.exporters.sources.keras_models import KerasModels
from tfs.exporters.sources.model_functions import ModelFunctions
from tfs.exporters.sources.python_objects import call_factory, load_object
from tfs.exporters.sources.saved_models import SavedModels
from tfs.exporters.sources.trackables import Trackables
from tfs.exporters.sources.trained import SourceKind, Trained
from tfs.exporters.tensorflow_runtime import import_tensorflow
from tfs.savedmodel.errors import TfsError, UsageError

__all__ = ["open_source"]

# The first that claims a source gets it: the more specific stand before the more general.
_KINDS: tuple[SourceKind, ...] = (
    ModelFunctions(),
    KerasModels(),
    SavedModels(),
    Graphs(),
    Estimators(),
    Trackables(),
)


def open_source(options: ExportOptions) -> Trained:
    """Return the trained model that the options name.

    A source that no kind claims is `pkg.mod:object` or `file.py:object`; the object is a model, or a function without
    arguments that returns one. Modules are also looked for in the current directory.

    Raises:
        UsageError: the source has none of these forms.
        TfsError: there is no such file, module or object; it cannot be loaded; or it is no model.
    """
    if claiming := next((kind for kind in _KINDS if kind.claims(options)), None):
        return claiming.open(options)
    source = options.source
    if ":" not in source:
        raise UsageError(
            f"`{source}` is no .keras, .h5, .pb or .meta file, no folder, and no pkg.mod:object or file.py:object"
        )
    import_tensorflow()  # before the user's module does, which would let it talk
    found = load_object(source)
    if (kind := _kind_of(found)) is None and callable(found):
        found = call_factory(found, source)
        kind = _kind_of(found)
    if kind is None:
        raise TfsError(
            f"`{source}` gives a {type(found).__name__}, no model that can be exported",
            "name a Keras model, a tf.Module, or a function without arguments that returns one",
        )
    return kind.wrap(found, options)


def _kind_of(found: Any) -> SourceKind | None:
    if isinstance(found, type):
        return None  # a class is a factory, whatever its instances are
    return next((kind for kind in _KINDS if kind.takes(found)), None)
