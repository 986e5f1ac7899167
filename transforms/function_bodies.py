"""Library functions as graph views, so that what works on the main graph works on a branch or a loop body.

In a view, argument `i` is a node of op `_Arg` with the argument's name, result `i` a node of op `_Retval`; both are
roots, as is every stateful node, since a function's stateful nodes run whether or not a result needs them.
"""

from typing import Any

from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Roots, Tensor, node_def
from tfs.transforms.ops import is_stateful, output_arguments

__all__ = ["body_view", "function_of"]

_RESULT = "__result__/"


def body_view(function: Any, library: Any) -> GraphView | None:
    """Return the body of a FunctionDef as a view over `library`.

    None if it cannot be shown as one: an argument that stands for a list, or a node of an op that nobody registered.
    """
    signature = function.signature
    if any(a.number_attr or a.type_list_attr or a.type_attr for a in (*signature.input_arg, *signature.output_arg)):
        return None
    starts: dict[str, dict[str, int]] = {argument.name: {} for argument in signature.input_arg}
    for node in function.node_def:
        arguments = output_arguments(node)
        if arguments is None:
            return None
        starts[node.name] = _starts(arguments)

    nodes = [_argument(argument, index) for index, argument in enumerate(signature.input_arg)]
    for node in function.node_def:
        copy = type(node)()
        copy.CopyFrom(node)
        copy.ClearField("input")
        copy.input.extend(str(_flat(text, starts)) for text in node.input)
        nodes.append(copy)
    for index, result in enumerate(signature.output_arg):
        nodes.append(_result(result, index, _flat(function.ret[result.name], starts)))

    stateful = {node.name for node in function.node_def if is_stateful(node)}
    kept = {node.name for node in nodes if node.op in ("_Arg", "_Retval")} | stateful
    fed = frozenset(Tensor(argument.name, 0) for argument in signature.input_arg)
    return GraphView(nodes, Roots(fed=fed, nodes=frozenset(kept | set(function.control_ret.values()))), library)


def function_of(view: GraphView, template: Any, name: str | None = None) -> Any:
    """Return the FunctionDef `template` with the body and the argument and result types of `view`."""
    function = type(template)()
    function.CopyFrom(template)
    if name is not None:
        function.signature.name = name
    function.ClearField("node_def")
    arguments = {argument.name: argument for argument in function.signature.input_arg}
    for node in view:
        if node.op == "_Arg":
            _retype(function, arguments[node.name], node)
        elif node.op == "_Retval":
            result = function.signature.output_arg[node.attr["index"].i]
            result.type = node.attr["T"].type
            function.ret[result.name] = _nested(Tensor.parse(node.input[0]), view)
        else:
            copy = function.node_def.add()
            copy.CopyFrom(node)
            copy.ClearField("input")
            copy.input.extend(_nested(Tensor.parse(text), view) for text in node.input)
    return function


def _argument(argument: Any, index: int) -> NodeDef:
    node = node_def("_Arg", argument.name, index=index)
    node.attr["T"].type = argument.type
    return node


def _result(result: Any, index: int, source: Tensor) -> NodeDef:
    node = node_def("_Retval", _RESULT + result.name, [source], index=index)
    node.attr["T"].type = result.type
    return node


def _retype(function: Any, argument: Any, node: NodeDef) -> None:
    if argument.type == node.attr["T"].type:
        return
    argument.type = node.attr["T"].type
    argument.ClearField("handle_data")
    index = node.attr["index"].i
    if "_input_shapes" in function.attr:  # the shape of a resource handle, not of the value that comes now
        shape = function.attr["_input_shapes"].list.shape[index]
        shape.ClearField("dim")
        shape.unknown_rank = True
    if index in function.arg_attr:
        function.arg_attr[index].attr.pop("_output_shapes", None)
        function.arg_attr[index].attr.pop("_handle_dtypes", None)
        function.arg_attr[index].attr.pop("_handle_shapes", None)


def _starts(arguments: list[tuple[str, int]]) -> dict[str, int]:
    starts, at = {}, 0
    for name, count in arguments:
        starts[name] = at
        at += count
    return starts


def _flat(text: str, starts: dict[str, dict[str, int]]) -> Tensor:
    """Turn `argument`, `node:output:k` or `^node` into a canonical tensor."""
    if text.startswith("^"):
        return Tensor(text[1:], CONTROL)
    parts = text.split(":")
    if len(parts) == 1:
        return Tensor(parts[0], 0)
    node, output = parts[0], parts[1]
    return Tensor(node, starts[node][output] + (int(parts[2]) if len(parts) > 2 else 0))


def _nested(tensor: Tensor, view: GraphView) -> str:
    """Turn a canonical tensor into the form that function bodies use."""
    if tensor.port == CONTROL:
        return str(tensor)
    node = view.nodes[tensor.node]
    if node.op == "_Arg":
        return tensor.node
    at = tensor.port
    for name, count in output_arguments(node) or ():
        if at < count:
            return f"{tensor.node}:{name}:{at}"
        at -= count
    raise ValueError(f"node {tensor.node} has no output {tensor.port}")
