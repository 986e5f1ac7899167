"""Rewriting TensorArrayV3 and its companions into the version before."""

import re

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView, Tensor

__all__ = ["BackportTensorArrayV3"]

_OP = re.compile(r"TensorArray(Grad|Write|Read|Gather|Scatter|Concat|Split|Size|Close)?V3")
_MAKERS = frozenset({"TensorArrayV3", "TensorArrayGradV3"})
_PASSING_ON = frozenset({"Identity", "Enter", "RefEnter", "Switch", "Merge", "NextIteration", "Exit"})
_LAST_PRODUCER = 25  # TensorArrayV2 is refused in graphs of a later one
_DT_STRING = 7


@transform
class BackportTensorArrayV3(GraphPass):
    """`TensorArray*V3` -> `TensorArray*V2`; readers of a maker's flow (output 1) get the constant 1.0.

    The handle, a resource, becomes a string, also in the Identity, Enter, Switch, ... that hand it on. TensorArrayV2 is
    not available in graphs of a producer above 25, so the graph's producer becomes 25; a graph with functions, which
    need a later one, is refused.
    """

    name = "backport_tensor_array_v3"
    summary = "rewrite TensorArrayV3 and its companions into V2, for a producer of at most 25"
    bodies = False

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph without TensorArrayV3."""
        found = [node for node in view if _OP.fullmatch(node.op)]
        if not found:
            return PassResult(view)
        if view.library.function:
            raise TfsError(
                f"TensorArrayV2 needs a graph of producer {_LAST_PRODUCER} at most, and this one has functions",
                "leave backport_tensor_array_v3 out",
            )
        edit = GraphEdit(view)
        for node in found:
            copy = edit.copy(node.name)
            copy.op = node.op.replace("V3", "V2")
            if node.op in _MAKERS:
                copy.attr.pop("identical_element_shapes", None)
                self._replace_flow(view, edit, node.name)
            edit.put(copy)
        self._retype_handles(view, edit)
        versions = type(view.versions)()
        versions.CopyFrom(view.versions)
        versions.producer = min(versions.producer, _LAST_PRODUCER)
        versions.min_consumer = min(versions.min_consumer, _LAST_PRODUCER)
        changed = edit.view()
        return PassResult(
            GraphView(changed, view.roots, view.library, versions), {"TensorArray nodes rewritten": len(found)}
        )

    @staticmethod
    def _replace_flow(view: GraphView, edit: GraphEdit, name: str) -> None:
        if any(reader.port == 1 for reader in view.readers(name)):
            flow = edit.constant(f"{name}/replacement_flow_node", np.array(1.0, np.float32))
            edit.redirect(Tensor(name, 1), flow)

    @staticmethod
    def _retype_handles(view: GraphView, edit: GraphEdit) -> None:
        todo = [Tensor(node.name, 0) for node in view if node.op in _MAKERS]
        seen: set[str] = set()
        while todo:
            tensor = todo.pop()
            for reader in view.readers(tensor.node):
                node = view.nodes[reader.node]
                if reader.port != tensor.port or node.op not in _PASSING_ON or node.name in seen:
                    continue
                seen.add(node.name)
                copy = edit.copy(node.name)
                copy.attr["T"].type = _DT_STRING
                edit.put(copy)
                todo.extend(Tensor(node.name, port) for port in ((0, 1) if node.op == "Switch" else (0,)))
