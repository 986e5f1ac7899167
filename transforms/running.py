"""Running a SavedModel's signatures in this process, as a server would."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import (
    Signature,
    TensorInfo,
    meta_graph,
    read_saved_model,
    saved_model_file,
    signatures_of,
)
from tfs.savedmodel.restoring import unrestored_variables
from tfs.transforms.large_constants import LargeConstants, light_saved_model
from tfs.transforms.light_session import open_light_session
from tfs.transforms.tensorflow_runtime import first_line, open_session

__all__ = ["ModelRunner", "check_functions_load", "open_model"]

# Of `saved_model.pb`; a session that holds its constants takes about ten times as much.
_LIGHT_BYTES = 32_000_000


class ModelRunner(ABC):
    """A loaded model that answers requests.

    Attributes:
        holds_constants: False if its weights are variables here, though constants in the file.
    """

    holds_constants = True

    @abstractmethod
    def answer(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | str:
        """Return the outputs by alias, `alias/0`, `alias/1`, ... for the parts of a sparse or composite one.

        If TensorFlow refuses the request, its reason (one line) is returned instead.
        """


@contextmanager
def open_model(path: Path, *, as_served: bool = False) -> Iterator[ModelRunner]:
    """Load a SavedModel for as long as the block runs, through the v1 loader (which does what the C++ loader does).

    A Keras 3 model that only `tf.saved_model.load` can restore is run through that. The weights of a graph of more
    than 32 MB are held as variables, which saves most of the memory (see `light_session`), unless `as_served`.

    Raises:
        TfsError: the model cannot be loaded.
    """
    import tensorflow as tf

    signatures, tags, needs_functions = _described(path)
    if needs_functions:
        yield _FunctionRunner(tf.saved_model.load(str(path), tags=tags))
    elif as_served or saved_model_file(path).stat().st_size < _LIGHT_BYTES:
        with open_session(path, tags) as session:
            yield _SessionRunner(session, signatures)
    else:
        with open_light_session(path) as session:
            yield _SessionRunner(session, signatures, holds_constants=False)


def _described(path: Path) -> tuple[dict[str, Signature], list[str], bool]:
    """Return a SavedModel's signatures and tags, and whether only `tf.saved_model.load` can restore it.

    The graph, which may be large, is gone before a session is made.
    """
    loaded = meta_graph(read_saved_model(path), path)
    return signatures_of(loaded), list(loaded.meta_info_def.tags), bool(unrestored_variables(loaded))


def check_functions_load(path: Path) -> None:
    """Load a SavedModel once through `tf.saved_model.load`, large constants left out: it looks at the structure alone.

    Raises:
        TfsError: it is refused.
    """
    import tensorflow as tf

    light = LargeConstants().take(meta_graph(read_saved_model(path), path))
    with light_saved_model(path, light) as directory:
        try:
            tf.saved_model.load(str(directory))
        except Exception as error:  # whatever it is, a user's server or notebook would meet it too
            raise TfsError(f"the result cannot be loaded by tf.saved_model.load: {first_line(error)}") from error


class _SessionRunner(ModelRunner):
    def __init__(self, session: Any, signatures: Mapping[str, Signature], *, holds_constants: bool = True) -> None:
        self.holds_constants = holds_constants
        self._session = session
        self._signatures = signatures
        self._calls: dict[str, Any] = {}

    def answer(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | str:
        """Run one request in the session."""
        import tensorflow as tf

        definition = self._signatures[signature]
        if signature not in self._calls:
            fetches = {part: name for alias, info in definition.outputs.items() for part, name in _parts(alias, info)}
            feeds = [info.name for info in definition.inputs.values()]
            self._calls[signature] = self._session.make_callable(fetches, feeds)
        missing = sorted(definition.inputs.keys() - inputs.keys())
        if missing:
            return f"input `{missing[0]}` is missing"
        try:
            answer = self._calls[signature](*(inputs[alias] for alias in definition.inputs))
        except (tf.errors.OpError, ValueError, TypeError) as error:
            return first_line(error)
        return {part: _array(value) for part, value in answer.items()}


class _FunctionRunner(ModelRunner):
    def __init__(self, model: Any) -> None:
        self._model = model

    def answer(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | str:
        """Call the signature's function."""
        import tensorflow as tf

        try:
            values = {alias: tf.constant(value) for alias, value in inputs.items()}
            answer = self._model.signatures[signature](**values)
        except (tf.errors.OpError, ValueError, TypeError) as error:
            return first_line(error)
        found: dict[str, np.ndarray] = {}
        for alias, value in answer.items():
            parts = tf.nest.flatten(value, expand_composites=True)
            if len(parts) == 1 and parts[0] is value:
                found[alias] = _array(value.numpy())
            else:
                found.update({f"{alias}/{index}": _array(part.numpy()) for index, part in enumerate(parts)})
        return found


def _parts(alias: str, info: TensorInfo) -> list[tuple[str, str]]:
    if not info.components:
        return [(alias, info.name)]
    return [(f"{alias}/{index}", name) for index, name in enumerate(info.components)]


def _array(value: Any) -> np.ndarray:
    # bytes would become numpy's own string type, which loses closing NULs
    return np.array(value, dtype=object) if isinstance(value, bytes) else np.asarray(value)
