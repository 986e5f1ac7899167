"""Folding the multiplication that is left of a batch norm into the convolution in front of it."""

import numpy as np

from tfs.transforms.factors import (
    FLOAT_TYPES,
    Factor,
    RefusedError,
    channel_axis,
    computed_from_constants,
    constant_value,
)
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, Skip, transform
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor
from tfs.transforms.input_scaling import consumers, move_factor, move_offset
from tfs.transforms.offset_moving import PASSED, OffsetPlanner
from tfs.transforms.offsets import join_offsets
from tfs.transforms.scaling import ScalePlanner
from tfs.transforms.stacks import read_past_stacks

__all__ = ["FoldBatchNorms"]

_ADDITIONS = frozenset({"Add", "AddV2", "Sub", "BiasAdd"})
_MOVED = _ADDITIONS | {"Mul"}


@transform
class FoldBatchNorms(GraphPass):
    """Moves constant factors into the kernels and biases in front of them (see `factors` for the formulas).

    1. `Mul(x, m)` or `Mul(m, x)`, `m` one constant per channel of `x` (or one for all), `x` a convolution or matrix
       product, or a chain of additions of constants, Squeeze, ExpandDims, Reshape and the like behind one: kernel and
       added constants are scaled, the Mul goes. If a signature reads the Mul, the node in front takes its name.
    2. `Mul(x, m)`, and an addition of a constant per channel, in front of linear ops that alone read it: into their
       kernels and biases (see `input_scaling`; an offset only where nothing is padded).
    3. Constants that are added one after the other behind a linear op are joined into one BiasAdd (a Sub behind a small
       MatMul: see `bias`), also through averages, concatenations and rearrangements (see `offset_moving`).

    4. Before that, readers of one element of a stack (Pack) read what was stacked, as between two TimeDistributed.

    Left alone, with the reason reported: a value on the way that is read elsewhere or by a signature, factors along
    another axis, a factor that is not a constant yet (fold_constants comes first).
    """

    name = "fold_batch_norms"
    summary = "multiply scales next to convolutions and matrix products into their kernels"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with every factor folded that can be."""
        start, folded, moved = view, 0, 0
        view, unstacked = read_past_stacks(view)
        planner = ScalePlanner(view)
        while True:
            view, count, skipped = _round(planner)
            planner = ScalePlanner(view, planner)
            folded += count
            if count:
                continue
            view, count = _round_of_inputs(planner)
            planner = ScalePlanner(view, planner)
            moved += count
            if not count:
                break
        view, offsets = _round_of_offsets(planner)
        view, joined = join_offsets(ScalePlanner(view, planner))
        counts = {
            "elements read past their stack": unstacked,
            "scales folded": folded,
            "inputs' scales and offsets folded": moved,
            "offsets moved": offsets,
            "offsets joined": joined,
        }
        done = {what: count for what, count in counts.items() if count}
        if not done:
            return PassResult(start, {}, skipped)
        return PassResult(view.only(view.ancestors(view.roots.names)), done, skipped)


def _round(planner: ScalePlanner) -> tuple[GraphView, int, tuple[Skip, ...]]:
    """Fold each factor whose chain no other factor of this round touches."""
    view = planner.view
    edit = GraphEdit(view)
    constants: dict[tuple[str, bytes], Tensor] = {}
    claimed: set[str] = set()
    skipped: list[Skip] = []
    computed = computed_from_constants(view)
    count = 0
    for name in view.order:
        node = view.nodes[name]
        if node.op != "Mul" or node.attr["T"].type not in FLOAT_TYPES or name in view.roots.nodes:
            continue
        index = next((i for i in (1, 0) if constant_value(view, Tensor.parse(node.input[i]))), None)
        if index is None:
            skipped.extend(_warn_of_order(view, node, computed))
            continue
        source, factor = Tensor.parse(node.input[1 - index]), None
        try:
            factor = _factor(view, planner, node, index)
            plan = planner.plan(source, factor, name)
        except RefusedError as refusal:
            if factor is None or not factor.is_scalar:  # a lone number is no batch norm
                skipped.append(Skip(name, str(refusal)))
            continue
        if plan.nodes & claimed or name in claimed:
            continue
        plan.apply(edit, constants)
        _replace_by_input(view, edit, node, index)
        claimed |= plan.nodes | {name}
        count += 1
    return (edit.view() if count else view), count, tuple(skipped)


def _round_of_inputs(planner: ScalePlanner) -> tuple[GraphView, int]:
    """Move each factor and offset into the linear ops that read it, if no other move of this round touches these."""
    view = planner.view
    edit = GraphEdit(view)
    constants: dict[tuple[str, bytes], Tensor] = {}
    claimed: set[str] = set()
    count = 0
    for name in view.order:
        node = view.nodes[name]
        if node.op not in _MOVED or node.attr["T"].type not in FLOAT_TYPES or name in claimed or view.is_root(name):
            continue
        index = next((i for i in (1, 0) if constant_value(view, Tensor.parse(node.input[i]))), None)
        if index is None or (node.op in ("Sub", "BiasAdd") and index == 0):
            continue
        try:
            factor = _value_per_channel(view, planner, node, index)
            found = consumers(planner, node, factor, is_offset=node.op != "Mul")
            names = {consumer.node.name for consumer in found}
            if names & claimed or len(names) < len(found):
                continue
            if node.op == "Mul":
                move_factor(view, found, factor).apply(edit, constants)
            else:
                move_offset(view, edit, found, factor)
        except RefusedError:
            continue  # no batch norm of an input: nothing that one would miss
        for consumer in names:
            edit.wait_for(consumer, view.control_inputs(name))
        edit.redirect(Tensor(name, 0), Tensor.parse(node.input[1 - index]))
        edit.drop(name)
        claimed |= {name, *names}
        count += 1
    return (edit.view() if count else view), count


def _round_of_offsets(planner: ScalePlanner) -> tuple[GraphView, int]:
    """Move each offset behind an average or the like into the additions in front, if no other move touches these."""
    view = planner.view
    offsets = OffsetPlanner(view, planner)
    edit = GraphEdit(view)
    constants: dict[tuple[str, bytes], Tensor] = {}
    claimed: set[str] = set()
    count = 0
    for name in view.order:
        node = view.nodes[name]
        if node.op not in _ADDITIONS or node.attr["T"].type not in FLOAT_TYPES or name in view.roots.nodes:
            continue
        index = next((i for i in (1, 0) if constant_value(view, Tensor.parse(node.input[i]))), None)
        if index is None or (node.op in ("Sub", "BiasAdd") and index == 0):
            continue
        source = Tensor.parse(node.input[1 - index])
        if view.nodes[source.node].op not in PASSED:
            continue
        try:
            offset = _value_per_channel(view, planner, node, index)
            plan = offsets.plan(source, offset, name)
        except RefusedError:
            continue  # it stays an addition, as cheap as before
        if plan.nodes & claimed or name in claimed:
            continue
        plan.apply(edit, constants)
        _replace_by_input(view, edit, node, index)
        claimed |= plan.nodes | {name}
        count += 1
    return (edit.view() if count else view), count


def _value_per_channel(view: GraphView, planner: ScalePlanner, node: NodeDef, index: int) -> Factor:
    source = Tensor.parse(node.input[1 - index])
    axis = channel_axis(node, planner.rank(source)) if node.op == "BiasAdd" else None
    factor = _factor(view, planner, node, index)
    factor = Factor(factor.values, axis) if axis is not None else factor
    factor = Factor(-factor.values, factor.axis) if node.op == "Sub" else factor
    if not factor.is_scalar and planner.shape(source)[factor.axis] != factor.values.size:
        raise RefusedError("it does not have one value for each channel")
    return factor


def _factor(view: GraphView, planner: ScalePlanner, node: NodeDef, index: int) -> Factor:
    constant = constant_value(view, Tensor.parse(node.input[index]))
    if constant is None:
        raise RefusedError("its factor is no constant")
    value = constant[1].astype(np.float64)
    source = Tensor.parse(node.input[1 - index])
    if view.is_constant(source):
        raise RefusedError("both its inputs are constants: fold_constants computes it")
    if value.ndim > planner.rank(source):
        raise RefusedError("its factor makes the result wider")
    wide = [axis for axis, size in enumerate(value.shape) if size != 1]
    if len(wide) > 1:
        raise RefusedError("its factor varies over more than one axis")
    return Factor(value.reshape(-1), wide[0] - value.ndim if wide else -1)


def _replace_by_input(view: GraphView, edit: GraphEdit, node: NodeDef, factor_index: int) -> None:
    """Take the multiplication `node` out of the graph: its readers read its input, which nobody else reads.

    If `node` is a root, the node that it reads takes its name instead. That node waits for what the multiplication and
    the factor waited for.
    """
    source, factor = (Tensor.parse(node.input[index]) for index in (1 - factor_index, factor_index))
    constant = constant_value(view, factor)
    waits = [*view.control_inputs(node.name), *(view.control_inputs(constant[0]) if constant else ())]
    edit.wait_for(source.node, waits)
    inner = edit.copy(source.node)
    if view.is_root(node.name):
        edit.drop(inner.name)
        edit.redirect(source, Tensor(node.name, 0))  # for who asks for its shape
        edit.redirect_control(inner.name, [node.name])
        inner.name = node.name
    else:
        edit.drop(node.name)
        edit.redirect(Tensor(node.name, 0), source)
        edit.redirect_control(node.name, [inner.name])
    edit.put(inner)


def _warn_of_order(view: GraphView, node: NodeDef, computed: set[str]) -> list[Skip]:
    inputs = [tensor.node for tensor in view.data_inputs(node.name)]
    if sum(name in computed for name in inputs) == 1:
        return [Skip(node.name, "its factor is computed from constants: fold_constants has to come first")]
    return []
