"""Describe a TFLite file without running it: signatures as a server offers them, operations, sizes."""

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.graph_outline import Outline, OutlineNode, Scope
from tfs.savedmodel.reading import Signature, TensorInfo

__all__ = ["TFLITE_FILE", "TfliteFile", "is_tflite_only", "read_tflite"]

TFLITE_FILE = "model.tflite"
_IDENTIFIER = b"TFL3"
_METHOD = "tensorflow/serving/predict"
_DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class TfliteFile:
    """What is in a TFLite file.

    Attributes:
        signatures: by name; a file without any has one whose aliases are the tensors' names, and one alone is
            `serving_default` too, as a server has it.
        ops: how often each operation occurs, most frequent first; custom ones by their own names.
        custom_ops: those that the model's author must bring, or that TensorFlow itself must (`Flex...`).
        nodes: number of operations of the main subgraph.
        functions: number of the other subgraphs.
        function_nodes: number of operations in them.
        constants: bytes of each tensor whose values stand in the file.
        outline: the subgraphs.
    """

    signatures: dict[str, Signature]
    ops: dict[str, int]
    custom_ops: tuple[str, ...]
    nodes: int
    functions: int
    function_nodes: int
    constants: dict[str, int]
    outline: Outline


def is_tflite_only(directory: Path) -> bool:
    """Tell whether a version directory has a TFLite file and no SavedModel."""
    others = (directory / "saved_model.pb", directory / "saved_model.pbtxt")
    return (directory / TFLITE_FILE).is_file() and not any(file.is_file() for file in others)


def read_tflite(file: Path) -> TfliteFile:
    """Read a TFLite file.

    Raises:
        TfsError: LiteRT, which knows the format, is not installed; the file cannot be read, or is none.
    """
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise TfsError(
            f"`{file}` is a TFLite file, which needs LiteRT: {error}", "pip install 'tfs[tflite]'"
        ) from error
    with _damage_told(file):
        content = file.read_bytes()
        if content[4:8] != _IDENTIFIER:
            raise TfsError(f"`{file}` is no TFLite file, or damaged")
        reader = _Reader(schema, schema.Model.GetRootAs(content))
        return reader.read()


@contextmanager
def _damage_told(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TfsError(f"`{file}` cannot be read: {error.strerror}") from error
    # The reader follows offsets without a check.
    except (struct.error, IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise TfsError(f"`{file}` is truncated or damaged: {type(error).__name__}: {error}") from error


class _Reader:
    def __init__(self, schema: Any, model: Any) -> None:
        self._model = model
        self._types = _names(schema.TensorType)
        self._builtins = _names(schema.BuiltinOperator)
        self._graphs = [model.Subgraphs(number) for number in range(model.SubgraphsLength())]
        self._codes = [self._op(model.OperatorCodes(number)) for number in range(model.OperatorCodesLength())]

    def read(self) -> TfliteFile:
        scopes = tuple(self._scope(number, graph) for number, graph in enumerate(self._graphs))
        counts = Counter(
            self._codes[graph.Operators(number).OpcodeIndex()]
            for graph in self._graphs
            for number in range(graph.OperatorsLength())
        )
        ops = dict(sorted(((op, count) for (op, _), count in counts.items()), key=lambda item: (-item[1], item[0])))
        return TfliteFile(
            signatures=self._signatures(),
            ops=ops,
            custom_ops=tuple(sorted({op for op, custom in counts if custom})),
            nodes=self._graphs[0].OperatorsLength(),
            functions=len(self._graphs) - 1,
            function_nodes=sum(graph.OperatorsLength() for graph in self._graphs[1:]),
            constants=dict(self._constants()),
            outline=Outline(scopes),
        )

    def _op(self, code: Any) -> tuple[str, bool]:
        """Return an operation's name, and whether it is a custom one."""
        if (custom := code.CustomCode()) is not None:
            return custom.decode(), True
        # Old files have the number where it had only a byte.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        return self._builtins.get(number, f"builtin {number}"), False

    def _signatures(self) -> dict[str, Signature]:
        found: dict[str, Signature] = {}
        for number in range(self._model.SignatureDefsLength()):
            definition = self._model.SignatureDefs(number)
            graph = self._graphs[definition.SubgraphIndex()]
            name = definition.SignatureKey().decode()
            ways = [
                {entry(at).Name().decode(): self._info(graph, entry(at).TensorIndex()) for at in range(count)}
                for entry, count in (
                    (definition.Inputs, definition.InputsLength()),
                    (definition.Outputs, definition.OutputsLength()),
                )
            ]
            found[name] = _signature(name, *ways)
        if not found:
            graph = self._graphs[0]
            inputs = [self._info(graph, graph.Inputs(at)) for at in range(graph.InputsLength())]
            outputs = [self._info(graph, graph.Outputs(at)) for at in range(graph.OutputsLength())]
            named = ({info.name.removesuffix(":0"): info for info in infos} for infos in (inputs, outputs))
            found[_DEFAULT_SIGNATURE] = _signature(_DEFAULT_SIGNATURE, *named)
        if len(found) == 1:
            [only] = found.values()
            found.setdefault(_DEFAULT_SIGNATURE, _signature(_DEFAULT_SIGNATURE, only.inputs, only.outputs))
        return dict(sorted(found.items()))

    def _info(self, graph: Any, index: int) -> TensorInfo:
        tensor = graph.Tensors(index)
        known = tensor.ShapeSignatureLength() > 0
        length, size = (
            (tensor.ShapeSignatureLength(), tensor.ShapeSignature) if known else (tensor.ShapeLength(), tensor.Shape)
        )
        shape = tuple(None if size(axis) < 0 else int(size(axis)) for axis in range(length))
        return TensorInfo(self._types[tensor.Type()].lower(), shape, tensor.Name().decode())

    def _constants(self) -> Iterator[tuple[str, int]]:
        for graph in self._graphs:
            for number in range(graph.TensorsLength()):
                tensor = graph.Tensors(number)
                if size := self._model.Buffers(tensor.Buffer()).DataLength():
                    yield tensor.Name().decode(), size

    def _scope(self, number: int, graph: Any) -> Scope:
        """Return the operations, each under the name of its first output, and what goes into the subgraph."""
        given = [graph.Tensors(graph.Inputs(at)).Name().decode() for at in range(graph.InputsLength())]
        makers = {graph.Inputs(at): at for at in range(graph.InputsLength())}
        nodes = [OutlineNode(name, "Arg") for name in given]
        for at in range(graph.OperatorsLength()):
            operator = graph.Operators(at)
            feeds = (makers.get(operator.Inputs(slot)) for slot in range(operator.InputsLength()))
            inputs = tuple(dict.fromkeys(feed for feed in feeds if feed is not None))
            makers |= dict.fromkeys((operator.Outputs(slot) for slot in range(operator.OutputsLength())), len(nodes))
            made = graph.Tensors(operator.Outputs(0)).Name().decode() if operator.OutputsLength() else f"operation {at}"
            # A name may list all that was fused into the operation.
            nodes.append(OutlineNode(made.split(";")[-1], self._codes[operator.OpcodeIndex()][0], inputs))
        name = (graph.Name() or b"").decode() or f"subgraph {number}"
        return Scope(name if number else "", tuple(nodes))


def _signature(name: str, inputs: dict[str, TensorInfo], outputs: dict[str, TensorInfo]) -> Signature:
    return Signature(name, dict(sorted(inputs.items())), dict(sorted(outputs.items())), _METHOD)


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
