"""Checkpoints, by the names that TensorFlow gives their files and variables."""

from pathlib import Path
from typing import Any

from tfs.exporters.tensorflow_runtime import first_line
from tfs.savedmodel.errors import TfsError

__all__ = ["checkpoint_prefix", "restore_variables", "shapes_in"]


def checkpoint_prefix(path: str) -> str:
    """Return the common beginning of the files of a checkpoint, of the latest one if a folder is named.

    Raises:
        TfsError: there is no checkpoint.
    """
    import tensorflow as tf

    if Path(path).is_dir():
        latest = tf.train.latest_checkpoint(path)
        if latest is None:
            raise TfsError(f"there is no checkpoint in `{path}`", "name the folder that the training wrote to")
        return str(latest)
    prefix = path.removesuffix(".index")
    if not Path(f"{prefix}.index").is_file():
        raise TfsError(f"there is no checkpoint `{path}`", "name a folder of checkpoints, or the .index of one")
    return prefix


def shapes_in(checkpoint: str) -> dict[str, list[int]]:
    """Return the shape of each value in a checkpoint by its name.

    Raises:
        TfsError: it does not exist or cannot be read.
    """
    import tensorflow as tf

    try:
        return {name: list(shape) for name, shape in tf.train.list_variables(checkpoint)}
    except (tf.errors.OpError, ValueError) as error:
        raise TfsError(f"checkpoint `{checkpoint}` cannot be read: {first_line(error)}") from error


def restore_variables(session: Any, saver: Any, checkpoint: str, hint: str) -> None:
    """Give the variables of the default graph (TF 1) the values that a checkpoint has under their names.

    Args:
        session: of the default graph.
        saver: a tf.compat.v1.train.Saver of its variables.
        checkpoint: the common beginning of its files.
        hint: what to do if the two do not belong together.

    Raises:
        TfsError: the checkpoint cannot be read, has no value for a variable, or one of another shape.
    """
    import tensorflow as tf

    stored = shapes_in(checkpoint)
    wanted = {variable.op.name: variable.shape for variable in tf.compat.v1.global_variables()}
    for name, shape in wanted.items():  # a Saver takes values of another shape without a word
        if name in stored and not shape.is_compatible_with(stored[name]):
            raise TfsError(f"variable `{name}` is {shape}, in checkpoint `{checkpoint}` {tuple(stored[name])}", hint)
    try:
        saver.restore(session, checkpoint)
    except (tf.errors.OpError, ValueError) as error:
        if missing := sorted(wanted.keys() - stored.keys()):
            names = ", ".join(f"`{name}`" for name in missing)
            raise TfsError(f"checkpoint `{checkpoint}` has no values for {names}", hint) from error
        raise TfsError(f"checkpoint `{checkpoint}` cannot be restored: {first_line(error)}", hint) from error
