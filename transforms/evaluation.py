"""Computing the part of a graph that depends on constants alone, by running it once."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfs.transforms.graph_edit import GraphEdit, constant_node
from tfs.transforms.graph_pass import Skip
from tfs.transforms.graph_view import CONTROL, GraphView, Tensor
from tfs.transforms.ops import CONTROL_FLOW_V1, output_arguments
from tfs.transforms.static_shapes import imported

if TYPE_CHECKING:
    import numpy as np

__all__ = ["compute_constants"]


def compute_constants(
    view: GraphView, may_fold: Callable[[str], bool], max_bytes: int, skipped: dict[str, Skip]
) -> tuple[GraphView, int]:
    """Run what depends on constants alone, and replace what others read of it, or signatures return, by constants.

    Args:
        view: the graph.
        may_fold: whether the node of a name may be computed.
        max_bytes: no constant becomes larger; what would be stays.
        skipped: nodes that stay and why, by name; what is found here is added.

    Returns:
        The graph and the number of constants put into it.
    """
    staying: set[str] = set()
    while True:
        foldable = _foldable(view, may_fold, staying)
        wanted = _frontier(view, foldable)
        if not wanted:
            return view, 0
        values, failed, opaque = _evaluate(view, foldable, wanted)
        skipped.update({skip.node: skip for skip in failed})
        large = {t.node: v.nbytes for t, v in values.items() if v.nbytes > max_bytes}
        for name, size in large.items():
            reason = f"its result has {size:,} bytes, more than max_constant_size_in_bytes={max_bytes}"
            skipped[name] = Skip(name, reason)
        staying |= large.keys() | opaque | {skip.node for skip in failed}
        # What feeds a node that stays may itself be worth folding: look again without that node.
        if not large and not failed and not opaque:
            return _replace(view, values, foldable)


def _foldable(view: GraphView, may_fold: Callable[[str], bool], without: set[str]) -> dict[str, frozenset[str]]:
    """Return the constants and all that can be computed from them alone, each with the nodes it has to wait for."""
    foldable: dict[str, frozenset[str]] = {}
    # Old-style control flow holds nodes back through control edges: such a node must not run just because it could.
    held_back = view.descendants(node.name for node in view if node.op in CONTROL_FLOW_V1)
    fetched = {tensor.node for tensor in view.roots.fetched}
    for name in view.order:
        node = view.nodes[name]
        waits = view.control_inputs(name)
        if name in without or any(other in held_back for other in waits):
            continue
        if node.op == "Const":
            fits = name not in view.roots.fed_names and name not in view.roots.nodes
        else:
            fits = all(t.node in foldable for t in view.data_inputs(name)) and may_fold(name)
            # A node that a signature names cannot be split into one constant per output.
            fits = fits and (name not in fetched or sum(n for _, n in output_arguments(node) or ()) == 1)
        if fits:
            foldable[name] = frozenset(waits).union(*(foldable[t.node] for t in view.data_inputs(name)))
    return foldable


def _frontier(view: GraphView, foldable: Mapping[str, frozenset[str]]) -> list[Tensor]:
    """Return the computed tensors that something else reads, or that a signature returns."""
    wanted: dict[Tensor, None] = {}
    for name in view.order:
        if name not in foldable or view.nodes[name].op == "Const":
            continue
        readers = view.readers(name)
        ports = {r.port for r in readers if r.node not in foldable and r.port != CONTROL}
        ports |= {tensor.port for tensor in view.roots.fetched if tensor.node == name}
        wanted.update((Tensor(name, port), None) for port in sorted(ports))
    return list(wanted)


def _evaluate(
    view: GraphView, foldable: Mapping[str, frozenset[str]], wanted: Sequence[Tensor]
) -> tuple[Mapping[Tensor, "np.ndarray"], list[Skip], set[str]]:
    """Run the foldable part of the graph once; return the values, and the nodes that stay (those that fail say why).

    What no constant can hold (a resource, a list of tensors) is left without a word: it is no missed chance.
    """
    from tfs.transforms.tensorflow_runtime import plain_session

    part = _without_control_edges(view.only(_computing(view, foldable, wanted)))
    graph = imported(part)
    fetches = {tensor: graph.get_tensor_by_name(f"{tensor.node}:{tensor.port}") for tensor in wanted}
    opaque = {tensor.node for tensor, fetch in fetches.items() if _is_opaque(fetch)}
    with plain_session(graph) as run:
        values, failed = _run(run, {tensor: fetch for tensor, fetch in fetches.items() if tensor.node not in opaque})
    return values, failed, opaque


def _run(run: Any, fetches: Mapping[Tensor, Any]) -> tuple[dict[Tensor, "np.ndarray"], list[Skip]]:
    import tensorflow as tf

    try:
        values = run.run(list(fetches.values()))
        return {tensor: _array(value, fetches[tensor]) for tensor, value in zip(fetches, values, strict=True)}, []
    except tf.errors.OpError:
        pass
    # One of them fails, as it would when the model runs; find out which.
    found: dict[Tensor, np.ndarray] = {}
    failed = []
    for tensor, fetch in fetches.items():
        try:
            found[tensor] = _array(run.run(fetch), fetch)
        except tf.errors.OpError as error:
            failed.append(Skip(tensor.node, f"computing it fails: {error.message.splitlines()[0]}"))
    return found, failed


def _array(value: Any, fetch: Any) -> "np.ndarray":
    import numpy as np

    return np.asarray(value, fetch.dtype.as_numpy_dtype)  # strings as objects: numpy's own would lose closing NULs


def _is_opaque(fetch: Any) -> bool:
    import tensorflow as tf

    return fetch.dtype in (tf.resource, tf.variant)


def _computing(view: GraphView, foldable: Mapping[str, frozenset[str]], wanted: Sequence[Tensor]) -> set[str]:
    """Return the foldable nodes whose data lead to the wanted tensors."""
    seen: set[str] = set()
    todo = [tensor.node for tensor in wanted]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(tensor.node for tensor in view.data_inputs(name) if tensor.node in foldable)
    return seen


def _without_control_edges(view: GraphView) -> GraphView:
    edit = GraphEdit(view)
    for node in view:
        if any(text.startswith("^") for text in node.input):
            copy = edit.copy(node.name)
            copy.ClearField("input")
            copy.input.extend(text for text in node.input if not text.startswith("^"))
            edit.put(copy)
    return edit.view()


def _replace(
    view: GraphView, values: Mapping[Tensor, "np.ndarray"], waits: Mapping[str, frozenset[str]]
) -> tuple[GraphView, int]:
    edit = GraphEdit(view)
    split: dict[str, int] = {}
    for tensor in values:
        split[tensor.node] = split.get(tensor.node, 0) + 1
    for tensor, value in values.items():
        node = view.nodes[tensor.node]
        if split[tensor.node] == 1 and tensor.port == 0:
            constant = edit.put(constant_node(node.name, value, node.device))
        else:
            constant = edit.constant(f"{node.name}/_cf__{tensor.port}", value, node.device)
            edit.redirect(tensor, constant)
        edit.wait_for(constant.node, sorted(waits[node.name]))
    folded = edit.view()
    return folded.only(folded.ancestors(folded.roots.names)), len(values)
