"""The warm-up file of a version: requests that the server replays before the version becomes available.

`<version>/assets.extra/tf_serving_warmup_requests` is a TFRecord file of serialized `PredictionLog` protos. The server
refuses a version whose file it cannot replay to the end, so what is written here is checked first.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from tfs.savedmodel.dtypes import dtype_name
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import prediction_log_pb2
from tfs.savedmodel.tensors import array_from_proto, proto_from_array
from tfs.savedmodel.tfrecord import read_tfrecord, write_tfrecord

__all__ = [
    "DEFAULT_SIGNATURE",
    "MAX_RECORDS",
    "PredictRecord",
    "RecordSummary",
    "WarmupSummary",
    "log_of_record",
    "read_predict_records",
    "read_records",
    "summarize",
    "summarize_records",
    "warmup_file",
    "write_records",
]

MAX_RECORDS = 1000  # the server fails the load of a version with more
DEFAULT_SIGNATURE = "serving_default"


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
    """

    records: int
    size: int
    by_signature: dict[str, int]


@dataclass(frozen=True)
class RecordSummary:
    """One warm-up record.

    Attributes:
        kind: `predict`, `classify`, `regress`, `multi_inference`, `session_run`, `predict_streamed` or `none`.
        signature_name: the signature that it calls; empty when it names none.
        inputs: dtype and shape of each input of a predict record.
    """

    kind: str
    signature_name: str
    inputs: dict[str, tuple[str, tuple[int, ...]]]


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


def write_records(directory: Path, logs: Iterable[Any]) -> Path:
    """Write a version's warm-up file, replacing the one it has in one step, and return its path.

    Raises:
        TfsError: there are more than 1000 records, or the directory cannot be written to.
    """
    records = [log.SerializeToString() for log in logs]
    if len(records) > MAX_RECORDS:
        raise TfsError(f"{len(records)} warm-up records are more than a server takes ({MAX_RECORDS})", "--records 1000")
    file = warmup_file(directory)
    try:
        file.parent.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.tmp-", dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                write_tfrecord(stream, records)
                os.fchmod(stream.fileno(), 0o644)  # mkstemp's 0600 would lock a server of another user out
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise TfsError(f"`{file}` cannot be written: {error.strerror}") from error
    return file


def _summary_of(log: Any) -> RecordSummary:
    field = log.WhichOneof("log_type")
    if field is None:
        return RecordSummary("none", "", {})
    request = getattr(log, field).request
    spec = getattr(request, "model_spec", None)  # multi-inference and streamed requests have one for each part
    signature_name = "" if spec is None else spec.signature_name or DEFAULT_SIGNATURE
    inputs = request.inputs.items() if field == "predict_log" else ()
    shapes = {
        alias: (dtype_name(proto.dtype), tuple(dim.size for dim in proto.tensor_shape.dim))
        for alias, proto in sorted(inputs)
    }
    return RecordSummary(field.removesuffix("_log"), signature_name, shapes)
