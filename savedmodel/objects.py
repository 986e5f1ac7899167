"""The Python objects that a TF 2 SavedModel stands for: its variables and functions by their path from the root."""

import re
from collections import deque
from dataclasses import dataclass
from typing import Any

from tfs.savedmodel.dtypes import dtype_name

__all__ = ["ConcreteFunction", "SavedVariable", "functions_of", "variables_of"]

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


@dataclass(frozen=True)
class ConcreteFunction:
    """One traced form of a function.

    Attributes:
        path: attribute path of the function from the root object, as `encoder.call`.
        name: of the function in the graph's library.
        arguments: positional ones, then keyword ones as `name=...`; tensors as `x: float32[?, 3]`, others as literals.
        results: what it returns, written in the same way.
    """

    path: str
    name: str
    arguments: tuple[str, ...]
    results: tuple[str, ...]


@dataclass(frozen=True)
class SavedVariable:
    """A variable object: its name in the graph, and whether training changes it."""

    name: str
    trainable: bool


def functions_of(object_graph: Any) -> list[ConcreteFunction]:
    """Return every traced form of every function that can be reached from the root of a SavedObjectGraph."""
    found: dict[str, ConcreteFunction] = {}
    for number, path in _paths(object_graph).items():
        node = object_graph.nodes[number]
        if node.WhichOneof("kind") == "function":
            names = node.function.concrete_functions
        elif node.WhichOneof("kind") == "bare_concrete_function":
            names = [node.bare_concrete_function.concrete_function_name]
        else:
            continue
        for name in names:
            # Each trace hangs below its function as well; the first path is the shortest.
            if name in object_graph.concrete_functions and name not in found:
                found[name] = _concrete(".".join(path), name, object_graph.concrete_functions[name])
    return sorted(found.values(), key=lambda function: (function.path.count("."), function.path, function.name))


def variables_of(object_graph: Any) -> dict[str, SavedVariable]:
    """Return the variables of a SavedObjectGraph by their key in the checkpoint."""
    found = {}
    for number, path in _paths(object_graph).items():
        node = object_graph.nodes[number]
        if node.WhichOneof("kind") == "variable":
            key = "/".join(_escaped(part) for part in path) + _VALUE
            found[key] = SavedVariable(node.variable.name, node.variable.trainable)
    return found


def _paths(object_graph: Any) -> dict[int, tuple[str, ...]]:
    """Return each object's shortest path of attribute names from the root, as the checkpoint names it."""
    if not object_graph.nodes:
        return {}
    paths: dict[int, tuple[str, ...]] = {0: ()}
    waiting = deque([0])
    while waiting:
        number = waiting.popleft()
        for child in object_graph.nodes[number].children:
            if child.node_id not in paths and child.node_id < len(object_graph.nodes):
                paths[child.node_id] = (*paths[number], child.local_name)
                waiting.append(child.node_id)
    return paths


def _escaped(name: str) -> str:
    return re.sub(r"\.", "..", name).replace("/", ".S")


def _concrete(path: str, name: str, function: Any) -> ConcreteFunction:
    signature = function.canonicalized_input_signature.tuple_value.values
    positional = _items(signature[0]) if signature else ()
    keywords = _items(signature[1]) if len(signature) > 1 else ()
    outputs = function.output_signature
    kind = outputs.WhichOneof("kind")
    results = _items(outputs) if kind in ("tuple_value", "list_value", "dict_value") else (_text(outputs),)
    return ConcreteFunction(path, name, (*positional, *keywords), () if kind in (None, "none_value") else results)


def _items(value: Any) -> tuple[str, ...]:
    kind = value.WhichOneof("kind")
    if kind == "dict_value":
        fields = value.dict_value.fields
        return tuple(_named(key, _text(fields[key])) for key in sorted(fields))
    return tuple(_text(item) for item in getattr(value, kind).values) if kind in ("tuple_value", "list_value") else ()


def _named(key: str, text: str) -> str:
    """Return `key=text`, without what says the name twice."""
    return f"{key}={text.removeprefix(f'{key}: ')}"


def _text(value: Any) -> str:  # noqa: PLR0911  # one line per kind of value
    kind = value.WhichOneof("kind")
    if kind == "tensor_spec_value":
        return _spec_text(value.tensor_spec_value)
    if kind == "bounded_tensor_spec_value":
        return _spec_text(value.bounded_tensor_spec_value)
    if kind == "type_spec_value":
        spec = value.type_spec_value
        return f"{spec.type_spec_class_name or 'TypeSpec'}({', '.join(_items(spec.type_state))})"
    if kind == "tensor_dtype_value":
        return dtype_name(value.tensor_dtype_value)
    if kind == "tensor_shape_value":
        return _shape_text(value.tensor_shape_value)
    if kind in ("tuple_value", "list_value"):
        inner = ", ".join(_items(value))
        return f"({inner})" if kind == "tuple_value" else f"[{inner}]"
    if kind == "dict_value":
        return "{" + ", ".join(_items(value)) + "}"
    if kind == "named_tuple_value":
        pairs = (_named(pair.key, _text(pair.value)) for pair in value.named_tuple_value.values)
        return f"{value.named_tuple_value.name}({', '.join(pairs)})"
    return "None" if kind in (None, "none_value") else repr(getattr(value, kind))


def _spec_text(spec: Any) -> str:
    text = dtype_name(spec.dtype) + _shape_text(spec.shape)
    return f"{spec.name}: {text}" if spec.name not in ("", "unknown") else text


def _shape_text(shape: Any) -> str:
    if shape.unknown_rank:
        return " of unknown rank"
    return "[" + ", ".join("?" if dim.size < 0 else str(dim.size) for dim in shape.dim) + "]"
