"""Computing in 8 bits what TensorFlow has quantized kernels for."""

from collections.abc import Sequence

import numpy as np

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.transforms.factors import RefusedError
from tfs.transforms.fake_quants import FAKE_QUANTS, KEEP_RANGE, trained_range, trained_ranges
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, Skip, transform
from tfs.transforms.graph_view import GraphView, NodeDef, Tensor, node_def
from tfs.transforms.quantization import DT_QUINT8, quantized, quint8_constant
from tfs.transforms.quantized_ops import COUNTERPARTS, Quantized, counterpart_node

__all__ = ["QuantizeNodes"]

_DT_FLOAT = 1
_DT_INT32 = 3
_DT_QINT32 = 13


@transform
class QuantizeNodes(GraphPass):
    """`op(x, ...)` in float32 -> `Dequantize(Requantize(Quantized<op>(QuantizeV2(x), ...)))`, named as the op.

    Ops: see `quantized_ops`. The range of a value is measured as it passes (`Min`, `Max`, and `RequantizationRange`
    for results of 32 bits), or is `fallback_min` to `fallback_max`. A FakeQuant node goes: its range, where it is
    constant and of 8 bits, is that of the result in front of it, also through up to three Relu, Relu6, MaxPool, AvgPool
    or Reshape, or of the float that it reads (see `fake_quants`). Codes go from one quantized node to the next
    without a Dequantize between. Constants are quantized here and now. Left alone: ops of `ignore_op`, dtypes other
    than float32, NCHW, dilations, explicit padding, and ops whose kernels this TensorFlow no longer has.

    Nodes keep no more than 8 bits: verify with data, and give a --rtol to match. On x86 it is rarely faster.
    """

    name = "quantize_nodes"
    summary = "compute in 8 bits what there are quantized kernels for"
    bodies = False
    arguments = (
        Argument("input_min", float),
        Argument("input_max", float),
        Argument("fallback_min", float),
        Argument("fallback_max", float),
        Argument("ignore_op", repeatable=True),
    )
    rounding = 0.1

    def __init__(
        self,
        input_min: float | None = None,
        input_max: float | None = None,
        fallback_min: float | None = None,
        fallback_max: float | None = None,
        ignore_op: Sequence[str] = (),
    ) -> None:
        for key, low, high in (("input", input_min, input_max), ("fallback", fallback_min, fallback_max)):
            if (low is None) != (high is None):
                raise UsageError(f"transform `quantize_nodes`: give both `{key}_min` and `{key}_max`, or neither")
        self._changes_inputs = input_min is not None
        self._fallback = None if fallback_min is None or fallback_max is None else (fallback_min, fallback_max)
        self._ignored = frozenset(ignore_op)

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with quantized nodes."""
        if self._changes_inputs:
            raise TfsError(
                "input_min and input_max would make the signatures' inputs quint8, which no client sends",
                "leave them out: inputs are quantized inside the graph",
            )
        quantizer = _Quantizer(view, self._fallback)
        skipped: list[Skip] = []
        count = 0
        for name in view.order:
            node = view.nodes[name]
            known = node.op in COUNTERPARTS or node.op in FAKE_QUANTS
            if not known or node.op in self._ignored or name in view.roots.nodes:
                continue
            try:
                quantizer.replace(node)
                count += 1
            except RefusedError as refusal:
                skipped.append(Skip(name, str(refusal)))
        if not count:
            return PassResult(view, {}, tuple(skipped))
        done = quantizer.edit.view()
        needed = done.only(done.ancestors(done.roots.names))
        return PassResult(needed, {"nodes quantized": count}, tuple(skipped))


class _Quantizer:
    """Puts quantized nodes into an edit, and remembers which float tensors exist as codes already."""

    def __init__(self, view: GraphView, fallback: tuple[float, float] | None) -> None:
        self.edit = GraphEdit(view)
        self._view = view
        self._fallback = fallback
        self._codes: dict[Tensor, Quantized] = {}
        self._trained = trained_ranges(view)
        self._in_trained_range: set[Tensor] = set()

    def replace(self, node: NodeDef) -> None:
        if node.op not in FAKE_QUANTS and node.attr["T"].type != _DT_FLOAT:
            raise RefusedError("it is not of float32")
        base = f"{node.name}/eightbit"
        if node.op in FAKE_QUANTS:
            result = self._in_range(node, base)
        else:
            made = counterpart_node(node, self.edit.fresh_name(base), lambda tensor: self._quantize(node, tensor))
            self.edit.put(made)
            result = Quantized(*(Tensor(made.name, port) for port in range(3)))
            if COUNTERPARTS[node.op].wide:
                result = self._requantize(node, base, result)
            elif node.op in KEEP_RANGE and Tensor.parse(node.input[0]) in self._in_trained_range:
                self._in_trained_range.add(Tensor(node.name, 0))
        waits = [Tensor.parse(text) for text in node.input if text.startswith("^")]
        dequantize = node_def("Dequantize", node.name, [*result, *waits], node.device, mode=b"MIN_FIRST")
        dequantize.attr["T"].type = DT_QUINT8
        self.edit.put(dequantize)
        self._codes[Tensor(node.name, 0)] = result

    def _in_range(self, node: NodeDef, base: str) -> Quantized:
        """Return the codes of what a FakeQuant node reads, in its range."""
        wanted, source = trained_range(self._view, node), Tensor.parse(node.input[0])
        if source in self._in_trained_range:
            return self._codes[source]
        ends = self._ends(base, wanted, node.device)
        return self._quantized(source, f"{base}/quantize", ends, node.device)

    def _ends(self, base: str, ends: tuple[float, float], device: str) -> list[Tensor]:
        named = zip(("min", "max"), ends, strict=True)
        return [self.edit.constant(f"{base}/frozen_{what}", np.array(end, np.float32), device) for what, end in named]

    def _quantize(self, node: NodeDef, tensor: Tensor) -> Quantized:
        if tensor not in self._codes:
            self._codes[tensor] = self._new_codes(tensor, node.device)
        return self._codes[tensor]

    def _new_codes(self, tensor: Tensor, device: str) -> Quantized:
        base = f"{tensor.node}/{tensor.port}" if tensor.port else tensor.node
        values, trained = self._view.constant(tensor), self._trained.get(tensor.node)
        if values is not None:
            return self._stored(values, base, device)
        if trained is None or tensor.port:
            return self._measured(tensor, base, device)
        self._in_trained_range.add(tensor)
        ends = self._ends(f"{base}/eightbit", trained, device)
        return self._quantized(tensor, f"{base}/eightbit/quantize", ends, device)

    def _stored(self, values: np.ndarray, base: str, device: str) -> Quantized:
        if not values.size or not np.isfinite(values).all():
            raise RefusedError(f"constant `{base}` has no range")
        codes, low, high = quantized(values)
        constant = self.edit.put(quint8_constant(self.edit.fresh_name(f"{base}_quantized_const"), codes, device))
        ends = ((what, np.array(end, np.float32)) for what, end in (("min", low), ("max", high)))
        return Quantized(constant, *(self.edit.constant(f"{base}_quantized_{w}", end, device) for w, end in ends))

    def _measured(self, tensor: Tensor, base: str, device: str) -> Quantized:
        flat_shape = self.edit.constant(f"{base}/eightbit/flat_shape", np.array([-1], np.int32), device)
        axis = self.edit.constant(f"{base}/eightbit/axis", np.array([0], np.int32), device)
        flat = self._put("Reshape", f"{base}/eightbit/flat", [tensor, flat_shape], device, Tshape=_DT_INT32)
        low = self._put("Min", f"{base}/eightbit/min", [flat, axis], device, Tidx=_DT_INT32)
        high = self._put("Max", f"{base}/eightbit/max", [flat, axis], device, Tidx=_DT_INT32)
        return self._quantized(tensor, f"{base}/eightbit/quantize", [low, high], device)

    def _quantized(self, tensor: Tensor, name: str, ends: Sequence[Tensor], device: str) -> Quantized:
        node = node_def("QuantizeV2", self.edit.fresh_name(name), [tensor, *ends], device)
        node.attr["T"].type = DT_QUINT8
        node.attr["mode"].s = b"MIN_FIRST"
        self.edit.put(node)
        return Quantized(*(Tensor(node.name, port) for port in range(3)))

    def _put(self, op: str, name: str, inputs: list[Tensor], device: str, **types: int) -> Tensor:
        node = node_def(op, self.edit.fresh_name(name), inputs, device)
        node.attr["T"].type = _DT_FLOAT
        for key, value in types.items():
            node.attr[key].type = value
        return self.edit.put(node)

    def _requantize(self, node: NodeDef, base: str, wide: Quantized) -> Quantized:
        known = self._trained.get(node.name, self._fallback)
        if node.name in self._trained:
            self._in_trained_range.add(Tensor(node.name, 0))
        if known is None:
            measured = node_def("RequantizationRange", self.edit.fresh_name(f"{base}/requant_range"), wide, node.device)
            measured.attr["Tinput"].type = _DT_QINT32
            self.edit.put(measured)
            ends = [Tensor(measured.name, 0), Tensor(measured.name, 1)]
        else:
            ends = self._ends(f"{base}/requant_range", known, node.device)
        narrow = node_def("Requantize", self.edit.fresh_name(f"{base}/requantize"), [*wide, *ends], node.device)
        narrow.attr["Tinput"].type = _DT_QINT32
        narrow.attr["out_type"].type = DT_QUINT8
        self.edit.put(narrow)
        return Quantized(*(Tensor(narrow.name, port) for port in range(3)))
