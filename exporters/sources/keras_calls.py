"""The serving function of a Keras model, the same for Keras 2 and Keras 3."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from tfs.exporters.sources.trained import DEFAULT_SIGNATURE
from tfs.exporters.tensorflow_runtime import first_line
from tfs.savedmodel.errors import TfsError

__all__ = ["calling_model"]


def calling_model(model: Any, specs: list[Any] | None) -> Any:
    """Return a tf.function or concrete function that calls the model as for inference.

    Names of inputs and outputs are the keys of dictionaries, else those of the model's inputs and output layers. A
    described model's outputs are `output_0`, `output_1`, ... if they are no dictionary.

    Args:
        model: of Keras 2 or Keras 3.
        specs: named specs of what a subclassed model is called with; None if the model knows its inputs.

    Raises:
        TfsError: nothing says what the inputs are, or the model cannot be called with them.
    """
    if specs is not None:
        return _described(model, specs)
    if not getattr(model, "inputs", None):
        raise TfsError(
            f"the {type(model).__name__} model was never built and does not say what its inputs are",
            f"--input NAME=DTYPE[SHAPE], --sample F.npz, or --signature {DEFAULT_SIGNATURE}=pkg.mod:fn",
        )
    return _functional(model)


def _functional(model: Any) -> Any:
    import tensorflow as tf

    if type(model).__name__ == "Sequential":
        structure, output, output_names = model.inputs[0], model.outputs[0], [model.layers[-1].name]
    else:
        structure, output, output_names = model.input, model.output, model.output_names
    aliases = _aliases(structure, [tensor.name for tensor in model.inputs])
    output_aliases = _aliases(output, output_names)
    specs = [
        tf.TensorSpec(tensor.shape, tensor.dtype, name=alias)
        for tensor, alias in zip(tf.nest.flatten(structure), aliases, strict=True)
    ]

    def call(*tensors: Any) -> dict[str, Any]:
        outputs = model(tf.nest.pack_sequence_as(structure, list(tensors)), training=False)
        return dict(zip(output_aliases, tf.nest.flatten(outputs), strict=True))

    return tf.function(call, input_signature=specs, autograph=False)


def _described(model: Any, specs: list[Any]) -> Any:
    """Trace the model with the first way of calling it that works; the first one's failure is told if none does."""
    import tensorflow as tf

    failures: list[Exception] = []
    for way in _ways_to_call(model, [spec.name for spec in specs]):

        def call(*tensors: Any, way: Callable[..., Any] = way) -> dict[str, Any]:
            outputs = way(tensors)
            flat = tf.nest.flatten(outputs)
            return dict(zip(_aliases(outputs, [f"output_{i}" for i in range(len(flat))]), flat, strict=True))

        try:
            return tf.function(call, autograph=False).get_concrete_function(*specs)
        except Exception as error:  # the model's own code
            failures.append(error)
    called_with = ", ".join(f"{spec.name}={spec.dtype.name}{list(spec.shape)}" for spec in specs)
    raise TfsError(
        f"the {type(model).__name__} model cannot be called with {called_with}: {first_line(failures[0])}",
        "see --input and --sample",
    ) from failures[0]


def _ways_to_call(model: Any, names: list[str]) -> Iterator[Callable[[tuple[Any, ...]], Any]]:
    parameters = inspect.signature(model.call).parameters
    training = {"training": False} if "training" in parameters else {}
    if len(names) == 1:
        yield lambda tensors: model(tensors[0], **training)
    elif set(names) <= parameters.keys():
        yield lambda tensors: model(**dict(zip(names, tensors, strict=True)), **training)
        return
    yield lambda tensors: model(dict(zip(names, tensors, strict=True)), **training)
    if len(names) > 1:
        yield lambda tensors: model(list(tensors), **training)


def _aliases(structure: Any, names: list[str]) -> list[str]:
    """Name the tensors of a flattened structure: by a flat dictionary's keys, else by `names`; each name once."""
    if isinstance(structure, dict) and len(structure) == len(names):
        return sorted(structure)  # the order in which a dictionary is flattened
    unique: list[str] = []
    for name in names:
        repeats = unique.count(name)
        unique.append(f"{name}_{repeats}" if repeats else name)
    return unique
