"""Tables whose content lives in the checkpoint: the init op fills them from constants instead.

A Keras vocabulary learnt with `adapt` is such a table. What the model adds to it while it serves goes on to work as
before: the table starts with the same content.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Roots, Tensor, node_def
from tfs.transforms.tensorflow_runtime import first_line

if TYPE_CHECKING:
    import numpy as np

    from tfs.transforms.loading import LoadedModel

__all__ = ["carry_tables", "with_init_op"]

_TABLES = frozenset({"MutableHashTableV2", "MutableHashTableOfTensorsV2", "MutableDenseHashTableV2"})
# The same in TF 1's reference form, and other resources that a checkpoint restores: nothing here can carry them.
_NOT_CARRIED = frozenset(
    {
        "BoostedTreesEnsembleResourceHandleOp",
        "MutableDenseHashTable",
        "MutableHashTable",
        "MutableHashTableOfTensors",
    }
)


def carry_tables(model: "LoadedModel", view: GraphView) -> GraphView:
    """Return `view` with an init op that also fills its mutable tables.

    Raises:
        TfsError: a table's content cannot be read, or is of a kind that cannot be carried over.
    """
    bodies = (node for function in view.library.function for node in function.node_def)
    for node in (*view, *bodies):
        if node.op in _NOT_CARRIED:
            raise TfsError(f"`{node.name}` ({node.op}) is filled from the checkpoint and cannot be carried over")
    tables = [node for node in view if node.op in _TABLES]
    if not tables:
        return view
    contents = _contents(model, tables)
    edit = GraphEdit(view)
    init_op = view.roots.init_op
    before = [] if init_op is None else [Tensor(init_op, CONTROL)]
    fills = []
    for table in tables:
        named = edit.copy(table.name)
        if not named.attr["shared_name"].s:  # else two loaded models would share the table
            named.attr["shared_name"].s = table.name.encode()
            edit.put(named)
        keys, values = (edit.constant(f"{table.name}/{key}", contents[table.name][key]) for key in ("keys", "values"))
        fill = node_def("LookupTableImportV2", edit.fresh_name(f"{table.name}/fill"))
        fill.input.extend(str(tensor) for tensor in (Tensor(table.name, 0), keys, values, *before))
        fill.attr["Tin"].CopyFrom(table.attr["key_dtype"])
        fill.attr["Tout"].CopyFrom(table.attr["value_dtype"])
        edit.put(fill)
        fills.append(Tensor(fill.name, CONTROL))
    return with_init_op(edit, view.roots, [*before, *fills])


def with_init_op(edit: GraphEdit, roots: Roots, after: Iterable[Tensor]) -> GraphView:
    """Return the changed graph with a new init op, which waits for the control tensors `after`."""
    init = node_def("NoOp", edit.fresh_name("tfs_state/init"), after)
    edit.put(init)
    return edit.view().with_roots(replace(roots, nodes=roots.nodes | {init.name}, init_op=init.name))


def _contents(model: "LoadedModel", tables: list[NodeDef]) -> "Mapping[str, Mapping[str, np.ndarray]]":
    import tensorflow as tf

    graph = model.session.graph
    try:
        with graph.as_default():
            exports = {table.name: _export(tf, graph, table) for table in tables}
        contents: Mapping[str, Mapping[str, np.ndarray]] = model.session.run(exports)
    except (tf.errors.OpError, KeyError) as error:
        raise TfsError(f"the content of table `{tables[0].name}` cannot be read: {first_line(error)}") from error
    return contents


def _export(tf: Any, graph: Any, table: NodeDef) -> Any:
    types = {key: tf.dtypes.as_dtype(table.attr[f"{key}_dtype"].type) for key in ("key", "value")}
    handle = graph.get_tensor_by_name(f"{table.name}:0")
    exported = tf.raw_ops.LookupTableExportV2(table_handle=handle, Tkeys=types["key"], Tvalues=types["value"])
    return {"keys": exported.keys, "values": exported.values}
