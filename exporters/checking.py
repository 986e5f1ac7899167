"""What must hold before a SavedModel is published: a server can restore it and run its signatures."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfs.exporters.requests import reply_problem
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.input_hints import InputHints, hints_of
from tfs.savedmodel.reading import SERVE_TAG, Signature, meta_graph, read_saved_model, signatures_of
from tfs.savedmodel.restoring import unrestored_variables
from tfs.savedmodel.synthetic import generate

__all__ = ["check_servable"]

_log = logging.getLogger(__name__)
_BATCH_SIZE = 2
_SEED = 0
_NO_KERNEL = "No OpKernel was registered"
_ASSERTION = "assertion failed"  # what tf.debugging.assert_... says


def check_servable(directory: Path, sample: Mapping[str, np.ndarray] | None = None) -> None:
    """Load a SavedModel as a server does (v1 loader, fresh graph) and run each signature once.

    One that takes exactly the inputs of the sample is run on it, another on generated inputs. Examples are generated
    with the features that a signature parses. A signature that refuses what a generated value means (a string that is
    no JPEG, an assertion of the model) is logged and accepted.

    Args:
        directory: of the SavedModel.
        sample: arrays by the name of the input, with a batch dimension.

    Raises:
        TfsError: a signature reads a variable that no loader restores, the model does not load or run, or what it gives
            is no reply to the requests of the signature's method.
    """
    import tensorflow as tf

    graph = meta_graph(read_saved_model(directory), directory)
    lost = unrestored_variables(graph)
    if lost:
        raise TfsError(
            f"a server could not restore {len(lost)} variables that the signatures read, the first is `{lost[0]}`",
            "let the signature's function read the variables of the model it is given, not copies",
        )
    hints = hints_of(graph, directory)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        try:
            tf.compat.v1.saved_model.load(session, [SERVE_TAG], str(directory))
        except (tf.errors.OpError, OSError, ValueError) as error:
            raise TfsError(f"a server could not load the exported model: {error}") from error
        for signature in signatures_of(graph).values():
            _run(session, signature, hints, sample or {})


def _run(session: Any, signature: Signature, hints: InputHints, sample: Mapping[str, np.ndarray]) -> None:
    import tensorflow as tf

    if any(info.components for info in signature.inputs.values()):
        _log.warning("signature %s was not run: no values can be generated for its inputs", signature.name)
        return
    sampled = signature.inputs.keys() == sample.keys()
    values = sample if sampled else generate(signature, _BATCH_SIZE, _SEED, hints)
    feeds = {info.name: values[alias] for alias, info in signature.inputs.items()}
    fetches = {alias: info.name for alias, info in signature.outputs.items() if info.name}
    try:
        outputs = session.run(fetches, feeds)
    except (tf.errors.OpError, TypeError, ValueError) as error:
        invalid = isinstance(error, tf.errors.InvalidArgumentError) and not sampled
        if invalid and _may_refuse(signature, hints, error):
            _log.warning("signature %s does not run on generated inputs: %s", signature.name, error)
            return
        raise TfsError(f"a server could not run signature `{signature.name}`: {error}") from error
    if problem := reply_problem(signature.method_name.rpartition("/")[2], outputs, len(next(iter(values.values())))):
        raise TfsError(f"a server could not reply with what signature `{signature.name}` gives: {problem}")


def _may_refuse(signature: Signature, hints: InputHints, error: Any) -> bool:
    """Whether values of the right dtype and shape may still be wrong: strings of some form, or what a model asserts."""
    if _NO_KERNEL in str(error):
        return False
    strings = (info.name.split(":")[0] for info in signature.inputs.values() if info.dtype == "string")
    return _ASSERTION in str(error) or any(placeholder not in hints.examples for placeholder in strings)
