"""Bringing function calls into the main graph, so that passes see the model's ops."""

from typing import Any

from tfs.savedmodel.protos import load
from tfs.transforms.graph_view import GraphView, NodeDef, attribute
from tfs.transforms.grappler import run_grappler

__all__ = ["inline_functions"]

_CONTROL_FLOW_V2 = frozenset({"If", "StatelessIf", "While", "StatelessWhile", "Case", "StatelessCase"})
_LOWER = "_lower_using_switch_merge"
_WAS_LOWERED = "_tfs_lower_using_switch_merge"


def inline_functions(view: GraphView) -> GraphView:
    """Return the part of the view that its roots need, every call of the main graph replaced by the callee's nodes.

    Bodies of If, While and Case stay functions, as do calls marked for XLA. Names of roots stay; a called node whose
    output is a root becomes an Identity or IdentityN of that name.

    Raises:
        TfsError: TensorFlow's inliner refuses the graph.
    """
    needed = view.only(view.ancestors(view.roots.names))
    graph = load("graph_pb2").GraphDef()
    graph.CopyFrom(needed.graph_def)
    for node in _all_nodes(graph):
        if node.op in _CONTROL_FLOW_V2 and attribute(node, _LOWER).b:
            # Lowering happens during inlining and would turn conditionals and loops into Switch and Merge for good.
            node.attr[_LOWER].b = False
            node.attr[_WAS_LOWERED].b = True
    for function in graph.library.function:
        # Keras 2's recurrent layers: an implementation to be chosen per device, which the inliner then leaves alone.
        function.attr.pop("api_implements", None)

    inlined = run_grappler(GraphView(graph.node, view.roots, graph.library, view.versions), ["function"]).graph_def
    for node in _all_nodes(inlined):
        if _WAS_LOWERED in node.attr:
            del node.attr[_WAS_LOWERED]
            node.attr[_LOWER].b = True
    result = GraphView(inlined.node, view.roots, inlined.library, view.versions)
    return result.only(result.ancestors(view.roots.names))


def _all_nodes(graph: Any) -> list[NodeDef]:
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
