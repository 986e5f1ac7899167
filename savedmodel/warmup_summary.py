"""What a version's warm-up records ask for, for people and machines.

Counting them takes no numpy, which only the values of records need.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.savedmodel.dtypes import dtype_name
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.warmup import DEFAULT_SIGNATURE, examples_of_input, read_records, warmup_file

__all__ = ["RecordInput", "RecordSummary", "WarmupSummary", "summarize", "summarize_records"]

_SHOWN_VALUES = 8


@dataclass(frozen=True)
class WarmupSummary:
    """What a version's warm-up file holds.

    Attributes:
        records: number of records.
        size: bytes of the file.
        by_signature: how many records name each signature; `(none)` for records without a request.
        content: what each record asks for, in order; null if that was not asked for.
    """

    records: int
    size: int
    by_signature: dict[str, int]
    content: "tuple[RecordSummary, ...] | None" = None


@dataclass(frozen=True)
class RecordInput:
    """An input of a warm-up record.

    Attributes:
        dtype: TensorFlow's name.
        shape: its sizes; of a feature of examples, how many values the first example has.
        first_values: up to eight of its values, as in JSON.
    """

    dtype: str
    shape: tuple[int, ...]
    first_values: tuple[Any, ...]


@dataclass(frozen=True)
class RecordSummary:
    """One warm-up record.

    Attributes:
        kind: `predict`, `classify`, `regress`, `multi_inference`, `session_run`, `predict_streamed` or `none`.
        signature_name: the signature that it calls (several: with a comma); empty when it names none.
        examples: how many examples it has; null if it is of a kind without.
        inputs: of a predict record by alias, of one with examples by feature.
    """

    kind: str
    signature_name: str
    examples: int | None
    inputs: dict[str, RecordInput]


def summarize(directory: Path) -> WarmupSummary | None:
    """Count a version's warm-up records; None if it has no warm-up file.

    Raises:
        TfsError: the file is damaged.
    """
    file = warmup_file(directory)
    if not file.is_file():
        return None
    records = read_records(directory)
    counts = Counter(_signature_names(log) or "(none)" for log in records)
    return WarmupSummary(len(records), file.stat().st_size, dict(sorted(counts.items())))


def summarize_records(directory: Path) -> list[RecordSummary]:
    """Return what each warm-up record of a version asks for, in order; none if there is no file.

    Raises:
        TfsError: the file is damaged.
    """
    return [_summary_of(log) for log in read_records(directory)]


def _summary_of(log: Any) -> RecordSummary:
    field = log.WhichOneof("log_type")
    if field is None:
        return RecordSummary("none", "", None, {})
    kind = field.removesuffix("_log")
    request = getattr(log, field).request
    name = _signature_names(log)
    if field == "predict_log":
        return RecordSummary(kind, name, None, {k: _tensor_input(v) for k, v in sorted(request.inputs.items())})
    if hasattr(request, "input"):
        examples = examples_of_input(request.input)
        features = examples[0].features.feature if examples else {}
        return RecordSummary(kind, name, len(examples), {k: _feature_input(features[k]) for k in sorted(features)})
    return RecordSummary(kind, name, None, {})


def _signature_names(log: Any) -> str:
    field = log.WhichOneof("log_type")
    if field is None:
        return ""
    request = getattr(log, field).request
    if field == "multi_inference_log":
        specs = [task.model_spec for task in request.tasks]
    else:
        specs = [request.model_spec] if hasattr(request, "model_spec") else []
    return ", ".join(spec.signature_name or DEFAULT_SIGNATURE for spec in specs)


def _tensor_input(proto: Any) -> RecordInput:
    from tfs.savedmodel.json_tensors import json_from_array
    from tfs.savedmodel.tensors import array_from_proto

    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    try:
        values = json_from_array(array_from_proto(proto).ravel()[:_SHOWN_VALUES])
    except TfsError:  # a server will say what is wrong with it
        values = []
    return RecordInput(dtype_name(proto.dtype), shape, tuple(values))


def _feature_input(feature: Any) -> RecordInput:
    import numpy as np

    from tfs.savedmodel.json_tensors import json_from_array

    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    dtype = {"bytes_list": "string", "float_list": "float32", "int64_list": "int64", None: "unknown"}[kind]
    shown = values[:_SHOWN_VALUES]
    if dtype == "string":
        shown = json_from_array(np.array(shown, dtype=object))
    elif dtype == "float32":
        shown = json_from_array(np.array(shown, dtype=np.float32))
    return RecordInput(dtype, (len(values),), tuple(shown))
