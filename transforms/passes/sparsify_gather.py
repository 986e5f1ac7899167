"""Keeping the few non-zero rows of a sparse weight in a table."""

from collections.abc import Sequence

import numpy as np

from tfs.transforms.factors import RefusedError, constant_value
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, Invariant, PassResult, Skip, transform
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Tensor, attribute, node_def
from tfs.transforms.tables import with_init_op

__all__ = ["SparsifyGather"]

_GATHERS = frozenset({"Gather", "GatherV2"})
_DT_FLOAT = 1
_DT_INT32 = 3
_DT_INT64 = 9
_ZERO = 1e-5  # smaller values are left out of the table
_COLUMN_RANK = 2


@transform
class SparsifyGather(GraphPass):
    """`Gather|GatherV2(Const [N, 1] float, ids)` -> `ExpandDims(LookupTableFindV2(HashTableV2, ids, 0), -1)`.

    The table has the entries of 1e-5 and more, and is filled by the init op. Identity between constant and gather is
    looked through; ids of int32 go through a Cast. Other shapes, dtypes and axes are left alone, as are function
    bodies. `input_checkpoint` is taken for old scripts' sake and not needed: variables are constants by now.
    """

    name = "sparsify_gather"
    summary = "keep the non-zero entries of [N, 1] weights in a hash table"
    bodies = False
    arguments = (Argument("input_checkpoint"), Argument("group_init_node"))
    invariants = frozenset(Invariant) - {Invariant.ROOTS_STAY}
    rounding = 1e-3

    def __init__(self, input_checkpoint: str = "", group_init_node: str = "group_deps") -> None:
        self._group = group_init_node

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with tables in place of gathers."""
        edit = GraphEdit(view)
        skipped: list[Skip] = []
        fills: list[Tensor] = []
        tables: dict[str, Tensor] = {}
        for node in view:
            if node.op not in _GATHERS:
                continue
            try:
                name, column = _column(view, node)
            except RefusedError as refusal:
                skipped.append(Skip(node.name, str(refusal)))
                continue
            if name not in tables:
                tables[name], fill = _table(edit, name, column)
                fills.append(fill)
            _look_up(edit, node, tables[name])
        if not fills:
            return PassResult(view, {}, tuple(skipped))
        filled = self._with_group(edit, view, fills)
        needed = filled.only(filled.ancestors(filled.roots.names))
        return PassResult(needed, {"weights put into tables": len(fills)}, tuple(skipped))

    def _with_group(self, edit: GraphEdit, view: GraphView, fills: Sequence[Tensor]) -> GraphView:
        group = node_def("NoOp", edit.fresh_name(self._group), fills)
        edit.put(group)
        before = [] if view.roots.init_op is None else [Tensor(view.roots.init_op, CONTROL)]
        return with_init_op(edit, view.roots, [*before, Tensor(group.name, CONTROL)])


def _column(view: GraphView, node: NodeDef) -> tuple[str, np.ndarray]:
    weights = constant_value(view, Tensor.parse(node.input[0]))
    if weights is None:
        raise RefusedError("what it gathers from is no constant")
    name, values = weights
    if values.dtype != np.float32 or values.ndim != _COLUMN_RANK or values.shape[1] != 1:
        raise RefusedError(f"what it gathers from is {values.dtype}{list(values.shape)}, not float32[N, 1]")
    if node.op == "GatherV2":
        axis = constant_value(view, Tensor.parse(node.input[2]))
        if axis is None or axis[1].item() != 0 or attribute(node, "batch_dims").i:
            raise RefusedError("it does not gather along axis 0")
    return name, values[:, 0]


def _table(edit: GraphEdit, name: str, column: np.ndarray) -> tuple[Tensor, Tensor]:
    """Add a table of the column's entries; return its handle and the end of its filling."""
    rows = np.flatnonzero(np.abs(column) >= _ZERO)
    rows = rows if rows.size else np.zeros(1, np.int64)  # a table cannot be filled with nothing
    table = node_def("HashTableV2", edit.fresh_name(f"{name}/table"))
    table.attr["key_dtype"].type = _DT_INT64
    table.attr["value_dtype"].type = _DT_FLOAT
    table.attr["shared_name"].s = table.name.encode()
    handle = edit.put(table)
    keys = edit.constant(f"{name}/keys", rows.astype(np.int64))
    values = edit.constant(f"{name}/values", column[rows])
    fill = node_def("LookupTableImportV2", edit.fresh_name(f"{name}/fill"), [handle, keys, values])
    fill.attr["Tin"].type = _DT_INT64
    fill.attr["Tout"].type = _DT_FLOAT
    edit.put(fill)
    return handle, Tensor(fill.name, CONTROL)


def _look_up(edit: GraphEdit, node: NodeDef, table: Tensor) -> None:
    ids = Tensor.parse(node.input[1])
    if attribute(node, "Tindices").type != _DT_INT64:
        cast = node_def("Cast", edit.fresh_name(f"{node.name}/ids"), [ids], node.device)
        cast.attr["SrcT"].CopyFrom(node.attr["Tindices"])
        cast.attr["DstT"].type = _DT_INT64
        ids = edit.put(cast)
    default = edit.constant(f"{node.name}/default", np.array(0.0, np.float32), node.device)
    found = node_def("LookupTableFindV2", edit.fresh_name(f"{node.name}/found"), [table, ids, default], node.device)
    found.attr["Tin"].type = _DT_INT64
    found.attr["Tout"].type = _DT_FLOAT
    last = edit.constant(f"{node.name}/last_axis", np.array(-1, np.int32), node.device)
    waits = [Tensor.parse(text) for text in node.input if text.startswith("^")]
    expanded = node_def("ExpandDims", node.name, [edit.put(found), last, *waits], node.device)
    expanded.attr["T"].type = _DT_FLOAT
    expanded.attr["Tdim"].type = _DT_INT32
    edit.put(expanded)
