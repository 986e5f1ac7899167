"""Folding the fused batch norm ops into the convolutions in front of them.

    scale[c]  = gamma[c] / sqrt(variance[c] + epsilon)      (gamma = 1 when scale_after_normalization is false)
    offset[c] = beta[c] - mean[c] * scale[c]
    batch_norm(conv(x, w))  =  BiasAdd(conv(x, w * scale), offset)

The arithmetic is in float64; results are cast once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfs.transforms.factors import Factor, RefusedError, channel_axis, computed_from_constants, constant_value
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import GraphPass, PassResult, Skip, transform
from tfs.transforms.graph_view import CONTROL, GraphView, NodeDef, Tensor, node_def
from tfs.transforms.offsets import join_offsets
from tfs.transforms.scaling import ScalePlanner

__all__ = ["FoldOldBatchNorms"]

_GLOBAL = "BatchNormWithGlobalNormalization"
_FUSED = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
_DEFAULT_EPSILON = 1e-4  # what a node without the attribute has, by the op's definition
_NAMES = ("mean", "variance", "beta", "gamma")
# Where each op has mean, variance, beta and gamma among its inputs.
_STATISTICS = {_GLOBAL: (1, 2, 3, 4), **dict.fromkeys(_FUSED, (3, 4, 2, 1))}


@transform
class FoldOldBatchNorms(GraphPass):
    """Folds FusedBatchNorm (also V2, V3) and BatchNormWithGlobalNormalization.

    1. Behind a convolution, matrix product or a concatenation of these, with constant additions between: the scale goes
       into the kernels, the offset becomes a BiasAdd that has the batch norm's name.
    2. Behind anything else: one Mul and one AddV2.

    Left alone, with the reason reported: training mode, statistics that are no constants, statistics outputs that are
    read.
    """

    name = "fold_old_batch_norms"
    summary = "fold fused batch norms into the convolutions in front of them"

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph without the batch norms that could be folded or taken apart."""
        start, folded, apart = view, 0, 0
        planner = ScalePlanner(view)
        while True:
            view, now_folded, now_apart, skipped = _round(planner)
            planner = ScalePlanner(view, planner)
            folded, apart = folded + now_folded, apart + now_apart
            if not now_folded and not now_apart:
                break
        if not folded and not apart:
            return PassResult(start, {}, skipped)
        view, joined = join_offsets(planner)
        counts = {"batch norms folded": folded, "turned into Mul and AddV2": apart, "offsets joined": joined}
        done = {what: count for what, count in counts.items() if count}
        return PassResult(view.only(view.ancestors(view.roots.names)), done, skipped)


@dataclass(frozen=True)
class _BatchNorm:
    node: NodeDef
    source: Tensor
    factor: Factor
    offset: np.ndarray
    waits: tuple[str, ...]


def _round(planner: ScalePlanner) -> tuple[GraphView, int, int, tuple[Skip, ...]]:
    view = planner.view
    edit = GraphEdit(view)
    constants: dict[tuple[str, bytes], Tensor] = {}
    claimed: set[str] = set()
    skipped: list[Skip] = []
    folded = apart = 0
    computed = computed_from_constants(view)
    for name in view.order:
        node = view.nodes[name]
        if node.op not in _STATISTICS or name in view.roots.nodes:
            continue
        try:
            norm = _read(view, planner, node, computed)
        except RefusedError as refusal:
            skipped.append(Skip(name, str(refusal)))
            continue
        if norm.source.node in claimed:
            claimed.add(name)  # next round, and so does what reads it: what it reads changes in this one
            continue
        try:
            plan = planner.plan(norm.source, norm.factor, name)
        except RefusedError:
            _take_apart(norm, edit)
            apart += 1
            claimed.add(name)
            continue
        if plan.nodes & claimed:
            claimed.add(name)
            continue
        plan.apply(edit, constants)
        _put_offset(norm, norm.source, edit)
        claimed |= plan.nodes | {name}
        folded += 1
    return (edit.view() if folded or apart else view), folded, apart, tuple(skipped)


def _read(view: GraphView, planner: ScalePlanner, node: NodeDef, computed: set[str]) -> _BatchNorm:
    """Return scale and offset of a batch norm.

    Raises:
        RefusedError: they are not constant, or the node does more than scale and shift.
    """
    if node.op in _FUSED and ("is_training" not in node.attr or node.attr["is_training"].b):
        raise RefusedError("it is in training mode: its statistics depend on the input")
    if any(reader.port not in (0, CONTROL) for reader in view.readers(node.name)):
        raise RefusedError("an output other than its first is read")
    if any(tensor.node == node.name and tensor.port for tensor in view.roots.fetched):
        raise RefusedError("a signature reads an output other than its first")
    values = []
    waits = view.control_inputs(node.name)
    for index, what in zip(_STATISTICS[node.op], _NAMES, strict=True):
        constant = constant_value(view, Tensor.parse(node.input[index]))
        if constant is None:
            early = Tensor.parse(node.input[index]).node in computed
            hint = "computed from constants: fold_constants has to come first" if early else "no constant"
            raise RefusedError(f"its {what} is {hint}")
        values.append(constant[1].astype(np.float64))
        waits.extend(view.control_inputs(constant[0]))
    mean, variance, beta, gamma = values
    if len({value.shape for value in values}) != 1 or mean.ndim != 1 or not mean.size:
        raise RefusedError("mean, variance, beta and gamma are not vectors of one length")
    if node.op == _GLOBAL:
        epsilon = node.attr["variance_epsilon"].f
        gamma = gamma if node.attr["scale_after_normalization"].b else np.ones_like(gamma)
    else:
        epsilon = node.attr["epsilon"].f if "epsilon" in node.attr else _DEFAULT_EPSILON
    if (variance + epsilon <= 0).any():
        raise RefusedError("its variance plus epsilon is not positive")
    scale = gamma / np.sqrt(variance + epsilon)
    source = Tensor.parse(node.input[0])
    axis = channel_axis(node, planner.rank(source))
    return _BatchNorm(node, source, Factor(scale, axis), beta - mean * scale, tuple(waits))


def _dtype(node: NodeDef) -> "np.dtype[Any]":
    from tensorflow.python.framework.dtypes import as_dtype

    dtype: np.dtype[Any] = np.dtype(as_dtype(node.attr["T"].type).as_numpy_dtype)
    return dtype


def _put_offset(norm: _BatchNorm, source: Tensor, edit: GraphEdit) -> None:
    """Let a BiasAdd take the batch norm's place."""
    node = norm.node
    offset = edit.constant(f"{source.node}_bn_offset", norm.offset.astype(_dtype(node)), node.device)
    bias = node_def("BiasAdd", node.name, [source, offset], node.device)
    bias.attr["T"].CopyFrom(node.attr["T"])
    bias.attr["data_format"].s = b"NHWC" if norm.factor.axis == -1 else b"NCHW"
    edit.put(bias)
    edit.wait_for(node.name, norm.waits)


def _take_apart(norm: _BatchNorm, edit: GraphEdit) -> None:
    """Let a Mul and an AddV2 take the batch norm's place."""
    node, dtype = norm.node, _dtype(norm.node)
    shape = (-1,) + (1,) * (-norm.factor.axis - 1)
    scale = edit.constant(f"{node.name}/scale", norm.factor.values.reshape(shape).astype(dtype), node.device)
    offset = edit.constant(f"{node.name}/offset", norm.offset.reshape(shape).astype(dtype), node.device)
    scaled = node_def("Mul", edit.fresh_name(f"{node.name}/scaled"), [norm.source, scale], node.device)
    shifted = node_def("AddV2", node.name, [edit.put(scaled), offset], node.device)
    for changed in (scaled, shifted):
        changed.attr["T"].CopyFrom(node.attr["T"])
    edit.put(shifted)
    edit.wait_for(node.name, norm.waits)
