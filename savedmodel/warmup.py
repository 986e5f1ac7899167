"""The warm-up file of a version: requests that the server replays before the version becomes available.

`<version>/assets.extra/tf_serving_warmup_requests` is a TFRecord file of serialized `PredictionLog` protos. The server
refuses a version whose file it cannot replay to the end, so what is written here is checked first.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from tfs.savedmodel.dtypes import dtype_name
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.json_tensors import json_from_array
from tfs.savedmodel.protos import prediction_log_pb2
from tfs.savedmodel.tensors import array_from_proto, proto_from_array
from tfs.savedmodel.tfrecord import read_tfrecord, write_tfrecord

__all__ = [
    "DEFAULT_SIGNATURE",
    "MAX_RECORDS",
    "PredictRecord",
    "RecordInput",
    "RecordSummary",
    "WarmupSummary",
    "examples_of_input",
    "log_of_record",
    "read_predict_records",
    "read_records",
    "summarize",
    "summarize_records",
    "warmup_file",
    "without_repetitions",
    "write_records",
]

MAX_RECORDS = 1000  # the server fails the load of a version with more
DEFAULT_SIGNATURE = "serving_default"
_SHOWN_VALUES = 8


@dataclass(frozen=True)
class PredictRecord:
    """A predict request as recorded: the signature's name and the inputs by alias."""

    signature_name: str
    inputs: dict[str, np.ndarray]


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


def warmup_file(directory: Path) -> Path:
    """Return where the warm-up records of a version directory stand, whether the file exists or not."""
    return directory / "assets.extra" / "tf_serving_warmup_requests"


def read_records(directory: Path) -> list[Any]:
    """Return a version's warm-up records (PredictionLog protos) in order; none if there is no file.

    Raises:
        TfsError: the file is no TFRecord file, is damaged, or holds something else than PredictionLogs.
    """
    file = warmup_file(directory)
    if not file.is_file():
        return []
    logs = []
    for number, data in enumerate(read_tfrecord(file)):
        try:
            logs.append(prediction_log_pb2.PredictionLog.FromString(data))
        except DecodeError as error:
            raise TfsError(f"record {number} of `{file}` is no PredictionLog: {error}") from error
    return logs


def read_predict_records(directory: Path) -> list[PredictRecord]:
    """Return a version's predict records in order; records of other kinds are passed over.

    Raises:
        TfsError: the file or a tensor in it is damaged.
    """
    return [
        PredictRecord(
            log.predict_log.request.model_spec.signature_name or DEFAULT_SIGNATURE,
            {alias: array_from_proto(proto) for alias, proto in sorted(log.predict_log.request.inputs.items())},
        )
        for log in read_records(directory)
        if log.WhichOneof("log_type") == "predict_log"
    ]


def summarize(directory: Path) -> WarmupSummary | None:
    """Count a version's warm-up records; None if it has no warm-up file.

    Raises:
        TfsError: the file is damaged.
    """
    file = warmup_file(directory)
    if not file.is_file():
        return None
    records = summarize_records(directory)
    counts = Counter(record.signature_name or "(none)" for record in records)
    return WarmupSummary(len(records), file.stat().st_size, dict(sorted(counts.items())))


def summarize_records(directory: Path) -> list[RecordSummary]:
    """Return what each warm-up record of a version asks for, in order; none if there is no file.

    Raises:
        TfsError: the file is damaged.
    """
    return [_summary_of(log) for log in read_records(directory)]


def log_of_record(record: PredictRecord, model_name: str = "") -> Any:
    """Return a predict record as the PredictionLog that stands in the file."""
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model_name
    request.model_spec.signature_name = record.signature_name
    for alias, array in record.inputs.items():
        request.inputs[alias].CopyFrom(proto_from_array(array))
    return log


def without_repetitions(logs: Iterable[Any]) -> list[Any]:
    """Return the records in their order, each only once: a repetition warms nothing up and delays the load."""
    return list({log.SerializeToString(deterministic=True): log for log in logs}.values())


def write_records(directory: Path, logs: Iterable[Any], check: Callable[[Path], None] | None = None) -> Path:
    """Write a version's warm-up file, replacing the one it has in one step, and return its path.

    Args:
        directory: of the version.
        logs: PredictionLog protos.
        check: is called with the new file before it takes its place; if it raises, everything stays as it was.

    Raises:
        TfsError: there are more than 1000 records, or the directory cannot be written to.
    """
    records = [log.SerializeToString(deterministic=True) for log in logs]
    if len(records) > MAX_RECORDS:
        raise TfsError(f"{len(records)} warm-up records are more than a server takes ({MAX_RECORDS})", "--records 1000")
    file = warmup_file(directory)
    made = not file.parent.exists()
    try:
        file.parent.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.tmp-", dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                write_tfrecord(stream, records)
                os.fchmod(stream.fileno(), 0o644)  # mkstemp's 0600 would lock a server of another user out
            if check is not None:
                check(Path(name))
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            if made:
                file.parent.rmdir()
            raise
    except OSError as error:
        raise TfsError(f"`{file}` cannot be written: {error.strerror}") from error
    return file


def _summary_of(log: Any) -> RecordSummary:
    field = log.WhichOneof("log_type")
    if field is None:
        return RecordSummary("none", "", None, {})
    kind = field.removesuffix("_log")
    request = getattr(log, field).request
    if field == "multi_inference_log":
        specs = [task.model_spec for task in request.tasks]
    else:
        specs = [request.model_spec] if hasattr(request, "model_spec") else []
    name = ", ".join(spec.signature_name or DEFAULT_SIGNATURE for spec in specs)
    if field == "predict_log":
        return RecordSummary(kind, name, None, {k: _tensor_input(v) for k, v in sorted(request.inputs.items())})
    if hasattr(request, "input"):
        examples = examples_of_input(request.input)
        features = examples[0].features.feature if examples else {}
        return RecordSummary(kind, name, len(examples), {k: _feature_input(features[k]) for k in sorted(features)})
    return RecordSummary(kind, name, None, {})


def examples_of_input(request_input: Any) -> list[Any]:
    """Return the examples of a classify or regress request's `input`, without their shared context."""
    kind = request_input.WhichOneof("kind")
    return [] if kind is None else list(getattr(request_input, kind).examples)


def _tensor_input(proto: Any) -> RecordInput:
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    try:
        values = json_from_array(array_from_proto(proto).ravel()[:_SHOWN_VALUES])
    except TfsError:  # a server will say what is wrong with it
        values = []
    return RecordInput(dtype_name(proto.dtype), shape, tuple(values))


def _feature_input(feature: Any) -> RecordInput:
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    dtype = {"bytes_list": "string", "float_list": "float32", "int64_list": "int64", None: "unknown"}[kind]
    shown = values[:_SHOWN_VALUES]
    if dtype == "string":
        shown = json_from_array(np.array(shown, dtype=object))
    elif dtype == "float32":
        shown = json_from_array(np.array(shown, dtype=np.float32))
    return RecordInput(dtype, (len(values),), tuple(shown))
