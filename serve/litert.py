"""LiteRT's interpreter for TFLite models: the only file that knows its interface.

LiteRT (`ai_edge_litert`, an optional package) releases the GIL while it computes, so interpreters run in parallel. One
interpreter computes for one caller at a time.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

__all__ = ["Interpreter", "Runner", "greet"]

_DEFAULT_SIGNATURE = "serving_default"


class Runner(Protocol):
    """What answers one signature."""

    def get_input_details(self) -> dict[str, Any]:
        """Return what LiteRT knows of each input: its alias -> `name`, `dtype`, `shape_signature` (-1 is any size)."""

    def get_output_details(self) -> dict[str, Any]:
        """Return the same of the outputs."""

    def __call__(self, **inputs: np.ndarray) -> Mapping[str, np.ndarray]:
        """Resize the inputs to these arrays, compute, and return all outputs by their aliases.

        Raises:
            ValueError: an array is not of the input's dtype.
            RuntimeError: the model does not compute with these shapes or values.
        """


class Interpreter:
    """One interpreter with memory of its own.

    Args:
        content: the bytes of a TFLite file; interpreters may share them.

    Raises:
        ImportError: LiteRT is not installed, or not for this machine.
        ValueError: the bytes are no TFLite model.
        RuntimeError: the model needs what LiteRT does not have, such as TensorFlow's own ops.
    """

    def __init__(self, content: bytes) -> None:
        if not content:
            raise ValueError("it is empty")
        interpreter = _interpreter_class()(model_content=content, num_threads=1)
        # Before the first request: what is planned for the first shapes is planned for good, and these ones are sound.
        interpreter.allocate_tensors()
        self.runners = _runners(interpreter)


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter as LiteRtInterpreter
    except OSError as error:  # one of its libraries cannot be opened
        raise ImportError(str(error)) from error
    return LiteRtInterpreter


def greet() -> None:
    """Let LiteRT write its greeting, which it does once, when it plans the first operation; nothing if it is missing.

    It goes to file descriptor 2 and cannot be switched off, but it can be held back while the process has one thread.
    """
    with suppress(ImportError):  # who needs it will say that it is missing
        Interpreter(_smallest_model())


def _smallest_model() -> bytes:
    """Return a TFLite file with one operation: y = |x|."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model, graph, operation, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    tensors = [schema.TensorT(), schema.TensorT()]
    for tensor, name in zip(tensors, ("x", "y"), strict=True):
        tensor.name, tensor.shape = name, [1]
    operation.inputs, operation.outputs = [0], [1]
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [1], [operation]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ABS
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _runners(interpreter: Any) -> dict[str, Runner]:
    """Return what answers each signature; a model without any has one, and one alone is the default, as upstream."""
    runners: dict[str, Runner] = {
        name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()
    }
    if not runners:
        return {_DEFAULT_SIGNATURE: _WholeModel(interpreter)}
    if len(runners) == 1:
        (runner,) = runners.values()
        runners.setdefault(_DEFAULT_SIGNATURE, runner)
    return runners


class _WholeModel:
    """Answers for a model without signatures, whose tensors' names are the aliases."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._inputs = _by_alias(interpreter.get_input_details())
        self._outputs = _by_alias(interpreter.get_output_details())

    def get_input_details(self) -> dict[str, Any]:
        return self._inputs

    def get_output_details(self) -> dict[str, Any]:
        return self._outputs

    def __call__(self, **inputs: np.ndarray) -> Mapping[str, np.ndarray]:
        for alias, array in inputs.items():
            self._interpreter.resize_tensor_input(self._inputs[alias]["index"], array.shape)
        self._interpreter.allocate_tensors()
        for alias, array in inputs.items():
            self._interpreter.set_tensor(self._inputs[alias]["index"], array)
        self._interpreter.invoke()
        return {alias: self._interpreter.get_tensor(detail["index"]) for alias, detail in self._outputs.items()}


def _by_alias(details: list[Any]) -> dict[str, Any]:
    """Return details of tensors by their names without `:0`, which TensorFlow's names have and clients leave out."""
    aliases = {detail["name"].removesuffix(":0"): detail for detail in details}
    if len(aliases) < len(details) or "" in aliases:
        raise ValueError("it has no signatures, and its tensors have no names that could tell them apart")
    return aliases
