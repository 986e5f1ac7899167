"""The functions behind a model's signatures, with named inputs and outputs."""

from typing import Any

from tfs.exporters.sources import load_object
from tfs.savedmodel.errors import TfsError, UsageError

__all__ = ["DEFAULT_SIGNATURE", "parse_signature_option", "signature_functions"]

DEFAULT_SIGNATURE = "serving_default"


def parse_signature_option(options: list[str]) -> dict[str, str]:
    """Return `NAME=pkg.mod:fn` options as a dictionary in their order.

    Raises:
        UsageError: an option has another form, or a name comes twice.
    """
    functions: dict[str, str] = {}
    for option in options:
        name, equals, function = option.partition("=")
        if not (name and equals and function):
            raise UsageError(f"--signature `{option}` has not the form NAME=pkg.mod:function")
        if name in functions:
            raise UsageError(f"--signature names `{name}` twice")
        functions[name] = function
    return functions


def signature_functions(model: Any, named: dict[str, str]) -> dict[str, Any]:
    """Return the traced tf.function for each signature, `serving_default` first.

    Args:
        model: a built Keras model.
        named: signature name -> `pkg.mod:fn`, where `fn(model)` returns a tf.function with an input_signature, or a
            concrete function. Without a `serving_default` among them, that one calls the model: its inputs and outputs
            go by the names they have in the model.

    Raises:
        TfsError: a function cannot be loaded or traced, or the model has no fixed inputs to derive a signature from.
    """
    functions = {} if DEFAULT_SIGNATURE in named else {DEFAULT_SIGNATURE: _calling_model(model)}
    for name, function in named.items():
        functions[name] = _named_function(model, name, function)
    return functions


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

    return _traced(DEFAULT_SIGNATURE, tf.function(call, input_signature=specs, autograph=False))


def _aliases(structure: Any, names: list[str]) -> list[str]:
    """Name the tensors of a flattened structure: by a flat dictionary's keys, else by `names`; each name once."""
    if isinstance(structure, dict) and len(structure) == len(names):
        return sorted(structure)  # the order in which keras.tree flattens it
    unique: list[str] = []
    for name in names:
        repeats = unique.count(name)
        unique.append(f"{name}_{repeats}" if repeats else name)
    return unique


def _named_function(model: Any, name: str, function: str) -> Any:
    import tensorflow as tf

    make = load_object(function)
    if not callable(make):
        raise TfsError(f"signature `{name}`: `{function}` is no function")
    try:
        made = make(model)
    except Exception as error:
        raise TfsError(f"signature `{name}`: `{function}` failed: {error}", "it is called with the model") from error
    if isinstance(made, tf.types.experimental.ConcreteFunction):
        return _traced(name, _of_concrete(made))
    if isinstance(made, tf.types.experimental.PolymorphicFunction):
        return _traced(name, made)
    raise TfsError(
        f"signature `{name}`: `{function}` returns a {type(made).__name__}",
        "it must return a tf.function with an input_signature, or a concrete function",
    )


def _of_concrete(concrete: Any) -> Any:
    """Wrap a concrete function as a tf.function, the only kind that an ExportArchive takes."""
    import tensorflow as tf

    specs = tf.nest.flatten(concrete.structured_input_signature)

    def call(*tensors: Any) -> Any:
        return concrete(**{spec.name: tensor for spec, tensor in zip(specs, tensors, strict=True)})

    return tf.function(call, input_signature=specs, autograph=False)


def _traced(name: str, function: Any) -> Any:
    try:
        function.get_concrete_function()
    except Exception as error:  # tracing runs the model's own code
        hint = (
            "its tf.function needs an input_signature"
            if function.input_signature is None
            else "tfs --debug shows where"
        )
        raise TfsError(f"signature `{name}` cannot be traced: {error}", hint) from error
    return function
