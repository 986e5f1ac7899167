"""Running a SavedModel's signatures in this process, as a server would."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import TensorInfo, meta_graph, read_saved_model, signatures_of
from tfs.savedmodel.restoring import unrestored_variables
from tfs.transforms.tensorflow_runtime import first_line, open_session

__all__ = ["ModelRunner", "check_loads", "open_model"]


class ModelRunner(ABC):
    """A loaded model that answers requests."""

    @abstractmethod
    def answer(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | str:
        """Return the outputs by alias, `alias/0`, `alias/1`, ... for the parts of a sparse or composite one.

        If TensorFlow refuses the request, its reason (one line) is returned instead.
        """


@contextmanager
def open_model(path: Path) -> Iterator[ModelRunner]:
    """Load a SavedModel for as long as the block runs, through the v1 loader (which does what the C++ loader does).

    A Keras 3 model that only `tf.saved_model.load` can restore is run through that.

    Raises:
        TfsError: the model cannot be loaded.
    """
    import tensorflow as tf

    loaded = meta_graph(read_saved_model(path), path)
    if unrestored_variables(loaded):
        yield _FunctionRunner(tf.saved_model.load(str(path), tags=list(loaded.meta_info_def.tags)))
        return
    with open_session(path, loaded) as session:
        yield _SessionRunner(session, loaded)


def check_loads(path: Path) -> None:
    """Load a SavedModel once through each of TensorFlow's two loaders.

    Raises:
        TfsError: one of them refuses it.
    """
    import tensorflow as tf

    with open_model(path):
        pass
    try:
        tf.saved_model.load(str(path))
    except Exception as error:  # whatever it is, a user's server or notebook would meet it too
        raise TfsError(f"the result cannot be loaded by tf.saved_model.load: {first_line(error)}") from error


class _SessionRunner(ModelRunner):
    def __init__(self, session: Any, loaded: Any) -> None:
        self._session = session
        self._signatures = signatures_of(loaded)
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
