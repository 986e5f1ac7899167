"""Rewriting ConcatV2 into the older Concat."""

import numpy as np

from tfs.transforms.factors import constant_value
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Tensor, attribute, node_def

__all__ = ["BackportConcatV2"]

_DT_INT32 = 3
_DT_INT64 = 9


@transform
class BackportConcatV2(GraphPass):
    """`ConcatV2(values..., axis)` -> `Concat(axis, values...)`.

    The axis is the last data input. Concat takes it as int32 only: an int64 constant is written anew, anything else of
    int64 goes through a Cast.
    """

    name = "backport_concatv2"
    summary = "rewrite ConcatV2 into the older Concat"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph without ConcatV2."""
        edit = GraphEdit(view)
        found = [node for node in view if node.op == "ConcatV2"]
        for node in found:
            *values, axis = view.data_inputs(node.name)
            waits = [Tensor(name, CONTROL) for name in view.control_inputs(node.name)]
            concat = node_def("Concat", node.name, [_int32(view, edit, node, axis), *values, *waits], node.device)
            for key, value in node.attr.items():
                if key != "Tidx":
                    concat.attr[key].CopyFrom(value)
            edit.put(concat)
        return PassResult(edit.view(), {"concatenations rewritten": len(found)}) if found else PassResult(view)


def _int32(view: GraphView, edit: GraphEdit, node: NodeDef, axis: Tensor) -> Tensor:
    if attribute(node, "Tidx").type != _DT_INT64:
        return axis
    constant = constant_value(view, axis)
    if constant is not None:
        return edit.constant(f"{node.name}/axis", constant[1].astype(np.int32), node.device)
    cast = node_def("Cast", edit.fresh_name(f"{node.name}/axis"), [axis], node.device)
    cast.attr["SrcT"].type = _DT_INT64
    cast.attr["DstT"].type = _DT_INT32
    return edit.put(cast)
