"""Computing now what does not depend on any input."""

from collections.abc import Sequence

from tfs.transforms.dead_branches import take_constant_branches
from tfs.transforms.evaluation import compute_constants
from tfs.transforms.graph_edit import GraphEdit, constant_node
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, Skip, transform
from tfs.transforms.graph_view import GraphView, Tensor, node_def
from tfs.transforms.loop_constants import move_constants_into_loops
from tfs.transforms.ops import CONTROL_FLOW_V1, called_functions, is_stateful
from tfs.transforms.reshape_sizes import fold_reshape_sizes
from tfs.transforms.static_shapes import StaticShapes

__all__ = ["FoldConstants"]

_MAX_CONSTANT_BYTES = 10 * 1024 * 1024
# A fold can make further shapes known, and these further folds; more rounds than this were never needed.
_MAX_ROUNDS = 8
_SHAPE_OPS = frozenset({"Shape", "Size", "Rank"})
# Stateful by the registry, though running them changes nothing: no reason to wait for them.
_WITHOUT_EFFECT = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "VarHandleOp", "_Arg", "NoOp"})
_INPUTS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "_Arg", "_Retval"})


@transform
class FoldConstants(GraphPass):
    """Replaces every subgraph that depends on no input by a constant, and drops what then nobody needs.

    1. A PlaceholderWithDefault that no signature feeds becomes its default.
    2. Control edges from nodes that have no effect, nor wait for one that has, are dropped: nothing can tell.
    3. An Identity of a constant is taken out.
    4. Shape, Size and Rank of a tensor whose static shape is complete become constants, as does the shape that a
       Reshape computes from the sizes of tensors if TensorFlow can tell all of it but one size (see `reshape_sizes`).
    5. Nodes without state whose inputs are all constants are run once; the results that others read become constants.
    6. Of a conditional (Switch and Merge, or If) with a constant predicate the chosen branch stays.
    7. Constants that a loop (While) passes on unchanged move into its body.

    Stateful and random ops, old-style control flow, calls, tables and variables stay, as does what is excluded and what
    would be larger than `max_constant_size_in_bytes`. A constant keeps the name of the node it replaces where that node
    has one output, else it is called `<name>/_cf__<output>`.
    """

    name = "fold_constants"
    summary = "compute what depends on no input and store the result"
    arguments = (
        Argument("exclude_op", repeatable=True),
        Argument("exclude_node", repeatable=True),
        Argument("clear_output_shapes", bool),
        Argument("max_constant_size_in_bytes", int),
    )

    def __init__(
        self,
        exclude_op: Sequence[str] = (),
        exclude_node: Sequence[str] = (),
        clear_output_shapes: bool = True,
        max_constant_size_in_bytes: int = _MAX_CONSTANT_BYTES,
    ) -> None:
        self._excluded_ops = frozenset(exclude_op)
        self._excluded_nodes = frozenset(exclude_node)
        self._clear_output_shapes = clear_output_shapes
        self._max_bytes = max_constant_size_in_bytes

    def __call__(self, view: GraphView) -> PassResult:
        """Return the folded graph."""
        start = view
        done: dict[str, int] = {}
        skipped: dict[str, Skip] = {}
        if self._clear_output_shapes:
            view = _without_output_shapes(view)
        view = _count(done, "unfed defaults taken", *_take_defaults(view))
        for _ in range(_MAX_ROUNDS):
            before = sum(done.values())
            view = _count(done, "control edges dropped", *_drop_idle_control_edges(view))
            view = _count(done, "identities bypassed", *self._bypass_identities(view))
            view = _count(done, "shapes known", *self._fold_shapes(view))
            view = _count(done, "constants computed", *self._compute(view, skipped))
            view = _count(done, "constant branches taken", *take_constant_branches(view))
            view = _count(done, "constants moved into loops", *move_constants_into_loops(view))
            if sum(done.values()) == before:
                break
        needed = view.only(view.ancestors(view.roots.names))
        done["nodes removed"] = max(0, len(start) - len(needed))
        done = {what: count for what, count in done.items() if count}
        return PassResult(needed if done else start, done, tuple(skipped.values()))

    def _may_fold(self, view: GraphView, name: str) -> bool:
        node = view.nodes[name]
        return not (
            node.op in self._excluded_ops
            or name in self._excluded_nodes
            or name in view.roots.fed_names
            or name in view.roots.nodes
            or node.op in _INPUTS
            or node.op in CONTROL_FLOW_V1
            or is_stateful(node)
            or any(True for _ in called_functions(node))
        )

    def _compute(self, view: GraphView, skipped: dict[str, Skip]) -> tuple[GraphView, int]:
        return compute_constants(view, lambda name: self._may_fold(view, name), self._max_bytes, skipped)

    def _bypass_identities(self, view: GraphView) -> tuple[GraphView, int]:
        """Let readers of an Identity of a constant read the constant: a frozen variable's value need not be copied.

        What the Identity waited for its readers wait for.
        """
        edit = GraphEdit(view)
        constants: dict[str, Tensor] = {}
        awaited: dict[str, list[str]] = {}
        for name in view.order:
            node = view.nodes[name]
            if node.op != "Identity" or node.device or view.is_root(name):
                continue
            source = Tensor.parse(node.input[0])
            constant = constants.get(source.node, source)
            waits = [*awaited.get(source.node, ()), *view.control_inputs(name)]
            readers = {reader.node for reader in view.readers(name)} if waits else set()
            if any(view.nodes[reader].op in CONTROL_FLOW_V1 for reader in readers):
                continue  # what a Merge or Enter waits for is a matter of its loop
            if self._may_fold(view, name) and view.is_constant(constant):
                constants[name], awaited[name] = constant, waits
                for reader in sorted(readers):
                    edit.wait_for(reader, waits)
                edit.redirect(Tensor(name, 0), constant)
                edit.redirect_control(name, [constant.node, *waits])
                edit.drop(name)
        return (edit.view(), len(constants)) if constants else (view, 0)

    def _fold_shapes(self, view: GraphView) -> tuple[GraphView, int]:
        candidates = [node for node in view if node.op in _SHAPE_OPS and self._may_fold(view, node.name)]
        if not candidates:
            return view, 0  # a Reshape whose shape is computed has a Shape in front
        import numpy as np

        shapes = StaticShapes(view)
        edit = GraphEdit(view)
        count = 0
        for node in candidates:
            shape = shapes(Tensor.parse(node.input[0]))
            if shape is None or (node.op != "Rank" and None in shape):
                continue
            dtype = shapes.dtype(Tensor(node.name, 0)).as_numpy_dtype
            known = [size for size in shape if size is not None]
            value = {"Shape": known, "Size": int(np.prod(known)), "Rank": len(shape)}[node.op]
            edit.put(constant_node(node.name, np.array(value, dtype), node.device))
            count += 1
        view, reshapes = fold_reshape_sizes(edit.view() if count else view, shapes)
        return view, count + reshapes


def _count(done: dict[str, int], what: str, view: GraphView, count: int) -> GraphView:
    done[what] = done.get(what, 0) + count
    return view


def _without_output_shapes(view: GraphView) -> GraphView:
    """Drop `_output_shapes`: what an earlier tool believed can contradict the graph as it is now."""
    edit = GraphEdit(view)
    for node in view:
        if "_output_shapes" in node.attr:
            copy = edit.copy(node.name)
            del copy.attr["_output_shapes"]
            edit.put(copy)
    return edit.view() if edit.changed else view


def _take_defaults(view: GraphView) -> tuple[GraphView, int]:
    edit = GraphEdit(view)
    unfed = [n for n in view if n.op == "PlaceholderWithDefault" and not view.is_root(n.name)]
    for node in unfed:
        identity = node_def("Identity", node.name, device=node.device)
        identity.input.extend(node.input)
        identity.attr["T"].CopyFrom(node.attr["dtype"])
        edit.put(identity)
    return (edit.view(), len(unfed)) if unfed else (view, 0)


def _drop_idle_control_edges(view: GraphView) -> tuple[GraphView, int]:
    effective: set[str] = set()
    for name in view.order:
        node = view.nodes[name]
        own = node.op not in _WITHOUT_EFFECT and (is_stateful(node) or node.op in CONTROL_FLOW_V1)
        if own or any(Tensor.parse(text).node in effective for text in node.input):
            effective.add(name)
    effective |= view.nodes.keys() - set(view.order)
    edit = GraphEdit(view)
    count = 0
    for node in view:
        keep = [text for text in node.input if not text.startswith("^") or text[1:] in effective]
        if len(keep) < len(node.input):
            count += len(node.input) - len(keep)
            copy = edit.copy(node.name)
            copy.ClearField("input")
            copy.input.extend(keep)
            edit.put(copy)
    return (edit.view(), count) if count else (view, 0)
