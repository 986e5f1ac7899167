"""Moving constants that a loop only hands round into the loop's body.

A value that goes through a While unchanged is passed on anew in each step, which for the weights of a recurrent layer
costs more than they are worth; as a constant in the body it is simply there (and can be folded).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfs.transforms.function_bodies import body_view, function_of
from tfs.transforms.graph_edit import GraphEdit, constant_node
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Reader, Tensor, attribute
from tfs.transforms.ops import reachable_library

if TYPE_CHECKING:
    import numpy as np

__all__ = ["move_constants_into_loops"]

_LOOPS = frozenset({"While", "StatelessWhile"})
_SMALL = 1024  # bytes that may well be stored twice


def move_constants_into_loops(view: GraphView) -> tuple[GraphView, int]:
    """Return the graph with constant loop arguments moved into the bodies, and how many were moved.

    Moved are arguments that the body returns as they came and whose constant no other node reads (small ones may be
    read). Equal loops with equal constants go on sharing one body. Loops inside functions stay as they are.
    """
    if any(node.op == "_Arg" for node in view):
        return view, 0
    mover = _Mover(view)
    for name in view.order:
        node = view.nodes[name]
        if node.op in _LOOPS and name not in view.roots.names:
            mover.move(node)
    return mover.result()


class _Mover:
    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._edit = GraphEdit(view)
        self._library = type(view.library)()
        self._library.CopyFrom(view.library)
        self._functions = {function.signature.name: function for function in view.library.function}
        self._made: dict[tuple[Any, ...], str] = {}
        self._count = 0

    def result(self) -> tuple[GraphView, int]:
        if not self._count:
            return self._view, 0
        view = self._edit.view(self._library)
        view = view.only(view.ancestors(view.roots.names))
        return view.with_library(reachable_library(view)), self._count

    def move(self, loop: NodeDef) -> None:
        constants = self._constants(loop)
        if not constants:
            return
        new = self._edit.copy(loop.name)
        # Its inputs as they are by now: a loop in front of it may have renumbered its outputs.
        inputs = [text for index, text in enumerate(new.input) if index not in constants]
        new.ClearField("input")
        new.input.extend(inputs)
        types = [value for index, value in enumerate(loop.attr["T"].list.type) if index not in constants]
        new.attr["T"].list.type[:] = types
        shapes = attribute(loop, "output_shapes").list.shape
        if shapes:
            del new.attr["output_shapes"].list.shape[:]
            kept = [shape for index, shape in enumerate(shapes) if index not in constants]
            new.attr["output_shapes"].list.shape.extend(kept)
        for key in ("body", "cond"):
            new.attr[key].func.name = self._without(loop.attr[key].func.name, constants)
        new.attr.pop("_output_shapes", None)
        self._edit.put(new)
        left = [index for index in range(len(loop.attr["T"].list.type)) if index not in constants]
        for reader in self._view.readers(loop.name):
            if reader.port in constants:
                self._reread(reader, loop.input[reader.port])
            elif reader.port != CONTROL:
                self._reread(reader, str(Tensor(loop.name, left.index(reader.port))))
        self._count += len(constants)

    def _reread(self, reader: Reader, text: str) -> None:
        node = self._edit.copy(reader.node)
        node.input[reader.slot] = text
        self._edit.put(node)

    def _constants(self, loop: NodeDef) -> "dict[int, np.ndarray]":
        """Return the arguments of the loop that can be moved, with their values."""
        bodies = [self._body(loop.attr[key].func.name) for key in ("body", "cond")]
        if any(body is None for body in bodies):
            return {}
        unchanged = _unchanged(bodies[0])
        found = {}
        for index, tensor in enumerate(self._view.data_inputs(loop.name)):
            value = self._view.constant(tensor)
            if value is None or index not in unchanged or self._view.control_inputs(tensor.node):
                continue
            if value.nbytes <= _SMALL or self._is_only_for(tensor.node, loop.attr["body"].func.name):
                found[index] = value
        return found if len(found) < len(loop.attr["T"].list.type) else {}

    def _is_only_for(self, name: str, body: str) -> bool:
        """Return whether nobody but loops with this body read node `name`."""
        readers = (self._view.nodes[reader.node] for reader in self._view.readers(name))
        only_loops = all(node.op in _LOOPS and node.attr["body"].func.name == body for node in readers)
        return only_loops and not self._view.is_root(name)

    def _body(self, name: str) -> GraphView | None:
        return body_view(self._functions[name], self._view.library) if name in self._functions else None

    def _without(self, name: str, constants: "Mapping[int, np.ndarray]") -> str:
        """Return the name of function `name` with these arguments made constants."""
        key = (name, *((index, str(v.dtype), v.shape, v.tobytes()) for index, v in sorted(constants.items())))
        if key in self._made:
            return self._made[key]
        new = f"{name}_with_constants"
        while new in self._functions or new in self._made.values():
            new += "_"
        self._made[key] = new
        function, body = self._functions[name], self._body(name)
        if body is None:
            raise ValueError(f"function {name} was looked at and cannot be shown any more")
        moved = function_of(_with_constants(body, constants), _shortened(function, constants), new)
        self._library.function.append(moved)
        return new


def _unchanged(body: GraphView | None) -> set[int]:
    """Return the arguments that a loop's body returns at their own place."""
    found = set()
    for node in body or ():
        if node.op == "_Retval" and body is not None:
            source = body.nodes[Tensor.parse(node.input[0]).node]
            while source.op == "Identity":
                source = body.nodes[Tensor.parse(source.input[0]).node]
            if source.op == "_Arg" and source.attr["index"].i == node.attr["index"].i:
                found.add(int(node.attr["index"].i))
    return found


def _with_constants(body: GraphView, constants: "Mapping[int, np.ndarray]") -> GraphView:
    # A body returns as many values as it takes, a condition one; one argument alone is never moved.
    returns_arguments = sum(node.op == "_Retval" for node in body) == sum(node.op == "_Arg" for node in body)
    edit = GraphEdit(body)
    for node in body:
        index = node.attr["index"].i if node.op in ("_Arg", "_Retval") else -1
        if node.op == "_Arg" and index in constants:
            edit.put(constant_node(node.name, constants[index]))
        elif node.op == "_Retval" and index in constants and returns_arguments:
            edit.drop(node.name)
        elif node.op == "_Arg" or (node.op == "_Retval" and returns_arguments):
            moved = edit.copy(node.name)
            moved.attr["index"].i = index - sum(other < index for other in constants)
            edit.put(moved)
    return edit.view()


def _shortened(function: Any, constants: "Mapping[int, np.ndarray]") -> Any:
    """Return the FunctionDef without these arguments, and without these results if it is a loop's body."""
    short = type(function)()
    short.CopyFrom(function)
    short.ClearField("arg_attr")
    kept = [index for index in range(len(function.signature.input_arg)) if index not in constants]
    for new, old in enumerate(kept):
        if old in function.arg_attr:
            short.arg_attr[new].CopyFrom(function.arg_attr[old])
    for place in ("input_arg", "output_arg"):
        arguments = getattr(function.signature, place)
        if len(arguments) == len(function.signature.input_arg):
            del getattr(short.signature, place)[:]
            getattr(short.signature, place).extend(arguments[index] for index in kept)
    names = {result.name for result in short.signature.output_arg}
    for name in set(short.ret) - names:
        del short.ret[name]
    if "_input_shapes" in function.attr:
        shapes = function.attr["_input_shapes"].list.shape
        del short.attr["_input_shapes"].list.shape[:]
        short.attr["_input_shapes"].list.shape.extend(shapes[index] for index in kept)
    return short
