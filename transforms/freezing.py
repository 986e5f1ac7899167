"""Turning variables into constants: which ones may, what they hold, and the graph afterwards.

A variable can be frozen when everything on the way to a signature's outputs only reads it. Readers become their
counterparts on plain tensors, through Identity nodes and through the bodies of If, While, Case and calls (each body is
specialised once per set of frozen arguments):

    ReadVariableOp -> Identity    ResourceGather -> GatherV2    ResourceGatherNd -> GatherNd    VariableShape -> Shape

What only the init op writes (asset paths, for instance) is not state: the init op keeps the variable and writes it.
Variables that would make the graph larger than a file may be stay variables too, the largest first.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tfs.transforms.function_bodies import body_view, function_of
from tfs.transforms.graph_edit import GraphEdit, constant_node
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Reader, Tensor, attribute
from tfs.transforms.ops import op_definition, reachable_library
from tfs.transforms.resource_uses import CALLS, PASSING_ON, READS, ResourceUses, is_loop, passed_on, resource_readers
from tfs.transforms.variable_handles import variables_beyond, with_one_handle_each
from tfs.transforms.variable_values import variable_values

if TYPE_CHECKING:
    import numpy as np

    from tfs.transforms.loading import LoadedModel

__all__ = ["MAX_FROZEN_BYTES", "Frozen", "freeze_variables"]

_LOG = logging.getLogger(__name__)

# A saved_model.pb holds 2 GB; the rest is for nodes, and for kernels that get a scaled copy.
MAX_FROZEN_BYTES = 1_900_000_000
_REF_VARIABLES = frozenset({"Variable", "VariableV2"})
_DT_STRING = 7
_DT_INT32 = 3


@dataclass(frozen=True)
class Frozen:
    """A graph after freezing.

    Attributes:
        view: the graph without the variables that could be frozen.
        frozen: names of the variables that became constants.
        kept: names and values of the variables that stay.
        too_large: those of `kept` that nothing changes, but that a graph has no room for.
    """

    view: GraphView
    frozen: tuple[str, ...]
    kept: "Mapping[str, np.ndarray]"
    too_large: frozenset[str] = frozenset()


def freeze_variables(model: "LoadedModel", view: GraphView, max_bytes: int = MAX_FROZEN_BYTES) -> Frozen:
    """Return `view` (the model's graph with calls inlined) with every variable frozen that nothing changes.

    Args:
        model: the model with its session, which has the values.
        view: its graph with calls inlined.
        max_bytes: what the constants may take together; the largest variables beyond that stay variables.

    Raises:
        TfsError: a variable that a signature needs has no value.
    """
    view = with_one_handle_each(view)
    serving = view.ancestors([*(t.node for t in view.roots.fetched), *(t.node for t in view.roots.fed)])
    analysis = ResourceUses(view.library)
    handles = [node for node in view if node.op == "VarHandleOp"]
    refs = [node for node in view if node.op in _REF_VARIABLES]
    blocked = {node.name for node in handles if analysis.blocked(view, Tensor(node.name, 0), serving)}
    blocked |= {node.name for node in refs if _is_written(view, node.name, serving)}
    wanted = [node.name for node in (*handles, *refs) if node.name in blocked or not _is_set_up(view, node, serving)]
    values = variable_values(model, view, wanted)
    too_large = variables_beyond({name: value for name, value in values.items() if name not in blocked}, max_bytes)
    frozen = {name: value for name, value in values.items() if name not in blocked | too_large}
    if frozen:
        view = _Freezer(view, frozen).run()
    view = view.only(view.ancestors(view.roots.names))
    view = view.with_library(reachable_library(view))
    for name in blocked:
        _LOG.info("variable %s stays a variable: the model changes it", name)
    kept = {name: value for name, value in values.items() if name in blocked | too_large}
    return Frozen(view, tuple(frozen), kept, too_large)


def _is_written(view: GraphView, name: str, serving: set[str]) -> bool:
    """Return whether a node on the way to an output takes the reference of TF 1 variable `name` to change it."""
    for reader in view.readers(name):
        node = view.nodes[reader.node]
        definition = op_definition(node.op)
        if reader.node in serving and (definition is None or any(arg.is_ref for arg in definition.input_arg)):
            return True
    return False


def _is_set_up(view: GraphView, variable: NodeDef, serving: set[str]) -> bool:
    """Return whether the init op writes this variable for its own use, or writes an asset's path into it.

    Such a path must not become a constant: it is where this machine happens to keep the model.
    """
    if variable.name in serving and variable.attr["dtype"].type != _DT_STRING:
        return False
    readers = resource_readers(view, Tensor(variable.name, 0))
    return any(view.nodes[name].op == "AssignVariableOp" for name in readers)


class _Plain(NamedTuple):
    """The tensor that stands for a resource, and its dtype."""

    tensor: Tensor
    dtype: int


class _Freezer:
    """Replaces the variables in `values` by constants, in the main graph and in the functions that they reach."""

    def __init__(self, view: GraphView, values: "Mapping[str, np.ndarray]") -> None:
        self._view = view
        self._values = values
        self._analysis = ResourceUses(view.library)
        self._library = type(view.library)()
        self._library.CopyFrom(view.library)
        self._functions = {function.signature.name: function for function in view.library.function}
        self._specialised: dict[tuple[str, tuple[tuple[int, int], ...]], str] = {}

    def run(self) -> GraphView:

        edit = GraphEdit(self._view)
        plain: dict[Tensor, _Plain] = {}
        made: dict[tuple[Any, ...], Tensor] = {}
        for name, value in self._values.items():
            node = self._view.nodes[name]
            if node.op in _REF_VARIABLES:
                edit.put(constant_node(name, value, node.device))
                continue
            # Equal values are stored once from the start: a model's signatures have variables of their own.
            content = name if value.dtype == object else hashlib.sha256(_raw(value)).digest()
            key = (content, str(value.dtype), value.shape, node.device)
            if key not in made:
                made[key] = edit.constant(f"{name}/frozen", value, node.device)
            # The handle itself stays for an init op that assigns it; if nobody does, it is pruned.
            constant = made[key]
            plain[Tensor(name, 0)] = _Plain(constant, node.attr["dtype"].type)
            edit.redirect_control(name, [constant.node])
        self._follow(self._view, edit, plain)
        return edit.view(self._library)

    def _follow(self, view: GraphView, edit: GraphEdit, plain: dict[Tensor, "_Plain"]) -> None:
        """Rewrite what reads one of the resources in `plain`; what changes a resource (in the init op) stays."""
        for name in view.order:
            node = view.nodes[name]
            found: dict[int, _Plain] = {}
            for index, text in enumerate(node.input):
                tensor = Tensor.parse(text)
                if tensor.port == CONTROL or tensor not in plain:
                    continue
                if node.op == "_Retval" or not self._analysis.use_is_blocked(view, Reader(name, index, tensor.port)):
                    found[index] = plain[tensor]
            if found:
                self._rewrite(node, found, edit, plain)

    def _rewrite(
        self, node: NodeDef, found: Mapping[int, "_Plain"], edit: GraphEdit, plain: dict[Tensor, "_Plain"]
    ) -> None:
        changed = edit.copy(node.name)
        dtypes = {index: value.dtype for index, value in found.items()}
        for index, value in found.items():
            changed.input[index] = str(value.tensor)
        if node.op in READS:
            edit.put(_read(changed, dtypes[0], edit))
            return
        if node.op in PASSING_ON:
            for index, dtype in dtypes.items():
                _set_type(changed, "T", index, dtype)
        elif node.op in CALLS:
            self._call(changed, dtypes)
        else:  # _Retval
            changed.attr["T"].type = dtypes[0]
        for index, dtype in dtypes.items():
            plain.update((output, _Plain(output, dtype)) for output in passed_on(node, index))
        edit.put(_without_handle_shapes(changed))

    def _call(self, node: NodeDef, dtypes: Mapping[int, int]) -> None:
        key, first = CALLS[node.op]
        arguments = {index - first: dtype for index, dtype in dtypes.items()}
        for index, dtype in arguments.items():
            _set_type(node, key, index, dtype)
            shapes = attribute(node, "output_shapes").list.shape
            if is_loop(node) and len(shapes) > index:
                shapes[index].ClearField("dim")
                shapes[index].unknown_rank = True
        for value in node.attr.values():
            called = [value.func] if value.HasField("func") else value.list.func
            for function in called:
                function.name = self._specialise(function.name, arguments)

    def _specialise(self, name: str, arguments: Mapping[int, int]) -> str:
        key = (name, tuple(sorted(arguments.items())))
        if key in self._specialised:
            return self._specialised[key]
        new = f"{name}_frozen"
        while new in self._functions or new in self._specialised.values():
            new += "_"
        self._specialised[key] = new
        function = self._functions[name]
        body = body_view(function, self._view.library)
        if body is None:
            raise ValueError(f"function {name} was analysed and cannot be shown any more")
        edit = GraphEdit(body)
        plain: dict[Tensor, _Plain] = {}
        for index, dtype in arguments.items():
            argument = edit.copy(function.signature.input_arg[index].name)
            argument.attr["T"].type = dtype
            plain[Tensor(argument.name, 0)] = _Plain(edit.put(argument), dtype)
        self._follow(body, edit, plain)
        self._library.function.append(function_of(edit.view(), function, new))
        return new


def _raw(value: "np.ndarray") -> memoryview:
    import numpy as np

    return np.ascontiguousarray(value).reshape(-1).view(np.uint8).data


def _set_type(node: NodeDef, key: str, index: int, dtype: int) -> None:
    types = node.attr[key]
    if types.HasField("list"):
        types.list.type[index] = dtype
    else:
        types.type = dtype


def _without_handle_shapes(node: NodeDef) -> NodeDef:
    for key in ("_output_shapes", "_handle_dtypes", "_handle_shapes"):
        node.attr.pop(key, None)
    return node


def _read(node: NodeDef, dtype: int, edit: GraphEdit) -> NodeDef:
    """Turn a copy of a reading node into its counterpart on a plain tensor."""
    attributes = {key: type(value).FromString(value.SerializeToString()) for key, value in node.attr.items()}
    node.ClearField("attr")
    for key, value in attributes.items():
        if key.startswith("_") and not key.startswith("_handle"):
            node.attr[key].CopyFrom(value)
    if node.op == "ReadVariableOp":
        node.op = "Identity"
        node.attr["T"].CopyFrom(attributes["dtype"])
    elif node.op == "VariableShape":
        node.op = "Shape"
        node.attr["T"].type = dtype
        node.attr["out_type"].CopyFrom(attributes["out_type"])
    else:
        _gather(node, attributes, edit)
    return node


def _gather(node: NodeDef, attributes: Mapping[str, Any], edit: GraphEdit) -> None:
    node.attr["Tparams"].CopyFrom(attributes["dtype"])
    node.attr["Tindices"].CopyFrom(attributes["Tindices"])
    if node.op == "ResourceGatherNd":
        node.op = "GatherNd"
        return
    import numpy as np

    batch_dims = attributes["batch_dims"].i if "batch_dims" in attributes else 0
    node.op = "GatherV2"
    node.attr["batch_dims"].i = batch_dims
    node.attr["Taxis"].type = _DT_INT32
    axis = edit.constant(f"{node.name}/axis", np.array(batch_dims, np.int32), node.device)
    node.input.insert(2, str(axis))
