"""What TensorFlow's op registry knows about a node: state, outputs, functions that it calls."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from tfs.transforms.graph_view import GraphView, NodeDef

__all__ = [
    "CONTROL_FLOW_V1",
    "called_functions",
    "is_stateful",
    "op_definition",
    "output_arguments",
    "output_types",
    "reachable_library",
]

# The ops of old-style (dataflow) conditionals and loops: they pass on or hold back values, frame by frame.
CONTROL_FLOW_V1 = frozenset(
    {
        f"{prefix}{op}"
        for prefix in ("", "Ref")
        for op in ("Switch", "Merge", "Enter", "Exit", "NextIteration", "Select")
    }
    | {"LoopCond", "_SwitchN", "ControlTrigger", "Abort"}
) - {"Select"}


@cache
def op_definition(op: str) -> Any:
    """Return the OpDef of a registered op, None for an unknown one."""
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(op)


def is_stateful(node: NodeDef) -> bool:
    """Return whether the node's result may differ from run to run or running it has an effect; unknown ops count."""
    definition = op_definition(node.op)
    return definition is None or bool(definition.is_stateful)


def output_arguments(node: NodeDef) -> list[tuple[str, int]] | None:
    """Return name and number of tensors of each output argument of the node's op, None for an unknown op."""
    definition = op_definition(node.op)
    if definition is None:
        return None
    arguments = []
    for argument in definition.output_arg:
        if argument.number_attr:
            count = int(node.attr[argument.number_attr].i)
        elif argument.type_list_attr:
            count = len(node.attr[argument.type_list_attr].list.type)
        else:
            count = 1
        arguments.append((argument.name, count))
    return arguments


def output_types(node: NodeDef) -> list[int] | None:
    """Return the DataType of each output of a node, None for an unknown op."""
    definition = op_definition(node.op)
    if definition is None:
        return None
    defaults = {attribute.name: attribute.default_value for attribute in definition.attr}
    types: list[int] = []
    for argument in definition.output_arg:
        if argument.type_list_attr:
            types.extend(node.attr[argument.type_list_attr].list.type)
            continue
        key = argument.type_attr
        one = (node.attr[key] if key in node.attr else defaults[key]).type if key else argument.type
        types.extend([one] * (int(node.attr[argument.number_attr].i) if argument.number_attr else 1))
    return types


def called_functions(node: NodeDef) -> Iterator[str]:
    """Yield the name of every library function that the node's attributes mention."""
    for attribute in node.attr.values():
        if attribute.HasField("func"):
            yield attribute.func.name
        elif attribute.HasField("list"):
            for function in attribute.list.func:
                yield function.name


def reachable_library(view: GraphView) -> Any:
    """Return the part of the view's function library that its nodes can reach, gradients included."""
    functions = {function.signature.name: function for function in view.library.function}
    gradients = {gradient.function_name: gradient for gradient in view.library.gradient}
    todo = [name for node in view for name in (*called_functions(node), node.op) if name in functions]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        if name in gradients:
            todo.append(gradients[name].gradient_func)
        for node in functions[name].node_def:
            todo.extend((*called_functions(node), node.op))
    library = type(view.library)()
    library.function.extend(function for name, function in functions.items() if name in seen)
    library.gradient.extend(gradient for name, gradient in gradients.items() if name in seen)
    return library
