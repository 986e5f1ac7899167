"""What must hold before a SavedModel is published: a server can restore it and run its signatures."""

import logging
from pathlib import Path
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.input_hints import InputHints, hints_of
from tfs.savedmodel.reading import SERVE_TAG, Signature, meta_graph, read_saved_model, signatures_of
from tfs.savedmodel.restoring import unrestored_variables
from tfs.savedmodel.synthetic import generate

__all__ = ["check_servable"]

_log = logging.getLogger(__name__)
_BATCH_SIZE = 2
_SEED = 0


def check_servable(directory: Path) -> None:
    """Load a SavedModel as a server does (v1 loader, fresh graph) and run each signature once on generated inputs.

    A signature that refuses the generated values themselves (a string that is no JPEG) is logged and accepted.

    Raises:
        TfsError: a signature reads a variable that no loader restores, or the model does not load or run.
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
            _run(session, signature, hints)


def _run(session: Any, signature: Signature, hints: InputHints) -> None:
    import tensorflow as tf

    if any(info.components for info in signature.inputs.values()):
        _log.warning("signature %s was not run: no values can be generated for its inputs", signature.name)
        return
    values = generate(signature, _BATCH_SIZE, _SEED, hints)
    feeds = {info.name: values[alias] for alias, info in signature.inputs.items()}
    fetches = {alias: info.name for alias, info in signature.outputs.items() if info.name}
    try:
        session.run(fetches, feeds)
    except tf.errors.InvalidArgumentError as error:
        _log.warning("signature %s does not run on generated inputs: %s", signature.name, error.message)
    except (tf.errors.OpError, TypeError, ValueError) as error:
        raise TfsError(f"a server could not run signature `{signature.name}`: {error}") from error
