"""Functions of declared signatures: parsing, casts and processing traced around a function of the model."""

from collections.abc import Mapping
from typing import Any

from tfs.exporters.feature_spec import convert_features, parsing_dictionary
from tfs.exporters.processing.running import MadeSteps, Processing, Values
from tfs.exporters.requests import check_inputs, examples_input, for_method
from tfs.exporters.signature_spec import InputSpec, OutputSpec, SignatureSpec
from tfs.exporters.sources.trained import ServingFunction
from tfs.exporters.suggestions import suggestion
from tfs.savedmodel.errors import TfsError

__all__ = ["declared_function"]


def declared_function(name: str, spec: SignatureSpec, start: ServingFunction, made: MadeSteps) -> ServingFunction:
    """Return the function of a signature as a recipe declares it.

    Args:
        name: of the signature.
        spec: what it adds to or changes about `start`.
        start: its own inputs and outputs are those of the model.
        made: the steps that other signatures of the same export have made; those of this one are added.

    Raises:
        TfsError: a name in the declaration is unknown, a dtype or shape does not fit the model's, an input of the model
            gets no value, a step cannot be made or fails, or the result is not what `spec.method` needs.
    """
    import tensorflow as tf

    where = f"signature `{name}`"
    model = _ModelFunction(where, start.function)
    before = Processing(f"{where}, preprocess", spec.preprocess, made)
    after = Processing(f"{where}, postprocess", spec.postprocess, made)
    inputs = _input_specs(where, spec, model.inputs)
    check_inputs(where, spec.method, inputs)
    sources = _sources(spec, model.inputs)

    def call(*tensors: Any) -> Values:
        values: Values = {one.name: tensor for one, tensor in zip(inputs, tensors, strict=True)}
        if spec.features is not None:
            [serialized] = tensors
            values = convert_features(tf.io.parse_example(serialized, parsing_dictionary(spec.features)), spec.features)
        outputs = _outputs(where, spec.outputs, after(model(before(values), sources)))
        return for_method(where, spec.method, outputs, chosen=spec.outputs is not None)

    traced = tf.function(call, input_signature=inputs, autograph=False).get_concrete_function()
    return ServingFunction(
        traced, f"tensorflow/serving/{spec.method}", (*start.uses, *before.resources, *after.resources), start.also
    )


class _ModelFunction:
    """A concrete function, called with values by name.

    Attributes:
        inputs: what it takes.
    """

    def __init__(self, where: str, function: Any) -> None:
        import tensorflow as tf

        self._where = where
        self._function = function
        # Arguments that are no tensors have kept their values since the trace.
        arguments = tf.nest.flatten(function.structured_input_signature)
        self.inputs = {spec.name: spec for spec in arguments if isinstance(spec, tf.TensorSpec)}
        for other in arguments:
            if isinstance(other, tf.TypeSpec) and not isinstance(other, tf.TensorSpec):
                kind = other.value_type.__name__
                raise TfsError(
                    f"{where}: the model's function takes a {kind}, servers have dense inputs only",
                    "start from a `function` that takes dense ones",
                )

    def __call__(self, values: Values, sources: Mapping[str, str]) -> Values:
        """Return the outputs by name; each input gets the value of its name in `sources`."""
        import tensorflow as tf

        given = {
            name: _fitted(f"{self._where}: `{sources[name]}`", self._value(values, sources[name], name), spec)
            for name, spec in self.inputs.items()
        }
        outputs = self._function(**given)  # whatever structure they have in Python
        if isinstance(outputs, dict):
            return {str(name): tensor for name, tensor in outputs.items()}
        # As tf.saved_model.save names them.
        return {f"output_{number}": tensor for number, tensor in enumerate(tf.nest.flatten(outputs))}

    def _value(self, values: Values, source: str, name: str) -> Any:
        if source not in values:
            known = suggestion(source, values)
            raise TfsError(f"{self._where}: nothing gives a value for the model's input `{name}`", known)
        return values[source]


def _input_specs(where: str, spec: SignatureSpec, model: Mapping[str, Any]) -> list[Any]:
    """Return the TensorSpec of each input that clients send."""
    import tensorflow as tf

    if spec.features is not None:
        return [tf.TensorSpec([spec.batch_size], tf.string, examples_input(spec.method))]
    declared = spec.inputs if spec.inputs is not None else {name: InputSpec() for name in model}
    found = []
    for name, one in declared.items():
        own = model.get(one.of or name)
        if own is None and (one.of is not None or not spec.preprocess):
            raise TfsError(f"{where}: the model has no input `{one.of or name}`", suggestion(one.of or name, model))
        if own is None and one.dtype is None:
            raise TfsError(f"{where}: input `{name}` is none of the model's", "give its dtype")
        dtype = one.dtype if own is None or one.dtype is not None else own.dtype
        shape = one.shape if one.shape is not None else [None] if own is None else own.shape
        batched = _with_batch(f"{where}: input `{name}`", tf.TensorShape(shape), spec.batch_size)
        found.append(tf.TensorSpec(batched, dtype, name))
    return found


def _with_batch(what: str, shape: Any, size: int | None) -> Any:
    if size is None:
        return shape
    if not shape.rank or shape[0] not in (None, size):
        raise TfsError(f"{what} has shape {_text(shape)}, whose first dimension cannot be batch_size {size}")
    return [size, *shape[1:]]


def _sources(spec: SignatureSpec, model: Mapping[str, Any]) -> dict[str, str]:
    """Return, for each input of the model, the name of the value that it gets."""
    renamed = {one.of: name for name, one in (spec.inputs or {}).items() if one.of is not None}
    return {name: renamed.get(name, name) for name in model}


def _fitted(what: str, value: Any, spec: Any) -> Any:
    """Make a value dense, and of the dtype that the model takes."""
    import tensorflow as tf

    if isinstance(value, tf.RaggedTensor):
        value = value.to_tensor()
    elif isinstance(value, tf.SparseTensor):
        value = tf.sparse.to_dense(value)
    value = tf.convert_to_tensor(value)
    _check(what, value, spec)
    return value if value.dtype == spec.dtype else tf.cast(value, spec.dtype)


def _check(what: str, given: Any, wanted: Any) -> None:
    if given.dtype != wanted.dtype and "string" in (given.dtype.name, wanted.dtype.name):
        raise TfsError(f"{what} is {given.dtype.name} and cannot be cast to {wanted.dtype.name}, the model's dtype")
    if not given.shape.is_compatible_with(wanted.shape):
        raise TfsError(f"{what} has shape {_text(given.shape)}, but the model takes {_text(wanted.shape)}")


def _outputs(where: str, declared: Mapping[str, OutputSpec] | None, values: Values) -> Values:
    import tensorflow as tf

    chosen = {}
    for name, one in ({name: OutputSpec() for name in values} if declared is None else declared).items():
        source = one.of or name
        if source not in values:
            raise TfsError(f"{where}: there is no output `{source}`", suggestion(source, values))
        value = values[source]
        if not isinstance(value, tf.Tensor):
            raise TfsError(f"{where}: output `{source}` is no dense tensor", "step `pad` makes it one")
        dtype = value.dtype if one.dtype is None else tf.as_dtype(one.dtype)
        if dtype != value.dtype and tf.string in (dtype, value.dtype):
            raise TfsError(f"{where}: output `{source}` is {value.dtype.name} and cannot be cast to {dtype.name}")
        # A value may be chosen twice, or be an input: each output is a tensor of its own.
        chosen[name] = tf.identity(value) if dtype == value.dtype else tf.cast(value, dtype)
    return chosen


def _text(shape: Any) -> str:
    sizes = ["..."] if shape.rank is None else ["?" if size is None else str(size) for size in shape]
    return f"[{', '.join(sizes)}]"
