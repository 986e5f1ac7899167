"""`tf.estimator` for a `model_fn`, where TensorFlow has it no more (2.16 and later).

Only what a `model_fn` needs to say what it predicts. TensorFlow has kept the classes of the export outputs, though
without their public names: these are the real ones. Its layers are those of Keras 2, as with every Estimator.
"""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

__all__ = ["EstimatorSpec", "ModeKeys", "RunConfig", "estimator_names", "hint_for"]

_ESTIMATOR_HINT = (
    "Estimators end with TensorFlow 2.15: pip install 'tensorflow==2.15.*' with Python 3.10 or 3.11; "
    "a custom model_fn is exported without them by --model-fn"
)
# What TensorFlow says since 2.16 of tf.estimator, Keras 3 of keras.estimator, and TensorFlow of tf.compat.v1.layers.
_HINTS = {
    "has no attribute 'estimator'": _ESTIMATOR_HINT,
    "not available with Keras 3": "pip install tf_keras: it is the Keras 2 for which the code was written",
}
_LEGACY_KERAS = "TF_USE_LEGACY_KERAS"  # TensorFlow reads it when it first needs Keras


class ModeKeys:
    """What a `model_fn` is called for."""

    TRAIN = "train"
    EVAL = "eval"
    PREDICT = "infer"


@dataclass
class EstimatorSpec:
    """What a `model_fn` returns; for an export, only `predictions`, `export_outputs` and `scaffold` are read."""

    mode: str
    predictions: Any = None
    loss: Any = None
    train_op: Any = None
    eval_metric_ops: Any = None
    export_outputs: dict[str, Any] | None = None
    training_chief_hooks: Any = None
    training_hooks: Any = None
    scaffold: Any = None
    evaluation_hooks: Any = None
    prediction_hooks: Any = None


@dataclass(frozen=True)
class RunConfig:
    """The `config` of a `model_fn` that runs in one process."""

    model_dir: str | None = None
    tf_random_seed: int | None = None
    session_config: Any = None
    num_ps_replicas: int = 0
    num_worker_replicas: int = 1
    is_chief: bool = True
    task_type: str = "worker"
    task_id: int = 0
    cluster_spec: dict[str, Any] = field(default_factory=dict)


def hint_for(error: Exception) -> str:
    """Return what to do about an error in a user's module: which package has what it wants, or where to look."""
    hints = (hint for words, hint in _HINTS.items() if isinstance(error, AttributeError) and words in str(error))
    return next(hints, "tfs --debug shows where")


@contextmanager
def estimator_names() -> Iterator[Any]:
    """Yield `tf.estimator`: the real one, or else the names above, which stand there until the block ends.

    They stand in for it as `tf.estimator` and `tf.compat.v1.estimator`. Any other of its names raises an AttributeError
    that tells which TensorFlow has it. `tf.keras` and `tf.compat.v1.layers`, if nobody has used them yet, come from
    `tf_keras` where that is installed.
    """
    import tensorflow as tf

    if hasattr(tf, "estimator"):
        yield tf.estimator
        return
    legacy = _LEGACY_KERAS not in os.environ and importlib.util.find_spec("tf_keras") is not None
    if legacy:
        os.environ[_LEGACY_KERAS] = "1"
    places = (tf, tf.compat.v1, tf.compat.v2)
    names = _Names()
    for place in places:
        place.estimator = names
    try:
        yield names
    finally:
        for place in places:
            del place.estimator
        if legacy:
            del os.environ[_LEGACY_KERAS]


class _MissingNames(ModuleType):
    """A module that tells of the names it has not."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"{self.__name__}.{name} needs TensorFlow 2.15, which is the last that has it")


class _Names(_MissingNames):
    def __init__(self) -> None:
        from tensorflow.python.saved_model import model_utils

        super().__init__("tf.estimator")
        self.EstimatorSpec = EstimatorSpec
        self.ModeKeys = ModeKeys
        self.RunConfig = RunConfig
        self.export = _MissingNames("tf.estimator.export")
        for kept in ("ExportOutput", "ClassificationOutput", "RegressionOutput", "PredictOutput"):
            setattr(self.export, kept, getattr(model_utils, kept))
