"""Variables that stay variables: a saver, initializers and a checkpoint, as TF 1's SavedModel form has them.

Names of the added nodes begin with `tfs_state/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs.savedmodel.protos import load
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Tensor, node_def

if TYPE_CHECKING:
    import numpy as np

__all__ = ["State", "add_saver", "write_checkpoint"]

_DT_INT32 = 3
_DT_STRING = 7


@dataclass(frozen=True)
class State:
    """What a SavedModel says about its variables.

    Attributes:
        values: the variables' values by the name that the checkpoint has for them.
        saver: the SaverDef that the loaders restore with.
        variables: serialized VariableDefs, for the collection `variables`.
    """

    values: "Mapping[str, np.ndarray]"
    saver: Any
    variables: tuple[bytes, ...]


def add_saver(view: GraphView, values: "Mapping[str, np.ndarray]") -> tuple[GraphView, State]:
    """Return `view` with nodes that save, restore and initialise the variables in `values`, all of them roots."""
    import numpy as np

    edit = GraphEdit(view)
    names = sorted(values)
    default = edit.constant("tfs_state/default", np.array(b"model", object))
    prefix = edit.put(
        _typed(node_def("PlaceholderWithDefault", edit.fresh_name("tfs_state/prefix"), [default]), "dtype")
    )
    keys = edit.constant("tfs_state/names", np.array([name.encode() for name in names], object))
    slices = edit.constant("tfs_state/slices", np.array([b""] * len(names), object))
    parts = [_variable_nodes(edit, view.nodes[name], values[name]) for name in names]

    save = node_def("SaveV2", edit.fresh_name("tfs_state/save"), [prefix, keys, slices, *(p.read for p in parts)])
    restore = node_def("RestoreV2", edit.fresh_name("tfs_state/restore"), [prefix, keys, slices])
    for node in (save, restore):
        node.attr["dtypes"].list.type.extend(view.nodes[name].attr["dtype"].type for name in names)
        edit.put(node)
    saved = [prefix, Tensor(save.name, CONTROL)]
    saved_prefix = edit.put(_typed(node_def("Identity", edit.fresh_name("tfs_state/saved"), saved), "T"))
    assigns = [
        edit.put(_assign(edit, view.nodes[name], Tensor(restore.name, index), "restored"))
        for index, name in enumerate(names)
    ]
    done = node_def("NoOp", edit.fresh_name("tfs_state/restore_all"), [Tensor(t.node, CONTROL) for t in assigns])
    edit.put(done)

    saver = load("saver_pb2").SaverDef(
        filename_tensor_name=f"{prefix.node}:0",
        save_tensor_name=f"{saved_prefix.node}:0",
        restore_op_name=done.name,
        max_to_keep=1,
        version=load("saver_pb2").SaverDef.V2,
    )
    kept = {prefix.node, saved_prefix.node, done.name, *names}
    kept.update(name for part in parts for name in part.names)
    extended = edit.view()
    extended = extended.with_roots(replace(view.roots, nodes=view.roots.nodes | kept))
    return extended, State(dict(values), saver, tuple(part.definition for part in parts))


@dataclass(frozen=True)
class _Variable:
    read: Tensor
    names: frozenset[str]
    definition: bytes


def _variable_nodes(edit: GraphEdit, variable: NodeDef, value: "np.ndarray") -> _Variable:
    """Add a read and an initializer for a variable: every VariableDef has to name both."""
    import numpy as np

    is_resource = variable.op == "VarHandleOp"
    base = f"tfs_state/{variable.name}"
    read = node_def("ReadVariableOp" if is_resource else "Identity", edit.fresh_name(f"{base}/read"))
    read.input.append(variable.name)
    read.attr["dtype" if is_resource else "T"].CopyFrom(variable.attr["dtype"])
    edit.put(read)
    shape = edit.constant(f"{base}/shape", np.array(value.shape, np.int32))
    zero = b"" if value.dtype == object else np.zeros((), value.dtype)[()]
    nothing = edit.constant(f"{base}/zero", np.array(zero, value.dtype))
    initial = node_def("Fill", edit.fresh_name(f"{base}/initial"), [shape, nothing])
    initial.attr["T"].CopyFrom(variable.attr["dtype"])
    initial.attr["index_type"].type = _DT_INT32
    assign = _assign(edit, variable, edit.put(initial), "initializer")
    edit.put(assign)
    definition = load("variable_pb2").VariableDef(
        variable_name=f"{variable.name}:0",
        initial_value_name=f"{initial.name}:0",
        initializer_name=assign.name,
        snapshot_name=f"{read.name}:0",
        is_resource=is_resource,
    )
    names = frozenset({read.name, initial.name, assign.name})
    return _Variable(Tensor(read.name, 0), names, definition.SerializeToString())


def _assign(edit: GraphEdit, variable: NodeDef, value: Tensor, what: str) -> NodeDef:
    is_resource = variable.op == "VarHandleOp"
    name = edit.fresh_name(f"tfs_state/{variable.name}/{what}")
    node = node_def("AssignVariableOp" if is_resource else "Assign", name, [Tensor(variable.name, 0), value])
    node.attr["dtype" if is_resource else "T"].CopyFrom(variable.attr["dtype"])
    return node


def _typed(node: NodeDef, key: str) -> NodeDef:
    node.attr[key].type = _DT_STRING
    if node.op == "PlaceholderWithDefault":
        node.attr["shape"].shape.SetInParent()
    return node


def write_checkpoint(state: State, directory: Path) -> None:
    """Write the variables to `directory` (`variables.index`, `variables.data-00000-of-00001`)."""
    import tensorflow as tf

    names = sorted(state.values)
    tensors = [tf.constant(state.values[name]) for name in names]
    tf.raw_ops.SaveV2(
        prefix=str(directory / "variables"), tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors
    )
