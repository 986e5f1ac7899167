"""The warm-up file of a version: requests that the server replays before the version becomes available.

`<version>/assets.extra/tf_serving_warmup_requests` is a TFRecord file of serialized `PredictionLog` protos. The server
refuses a version whose file it cannot replay to the end, so what is written here is checked first.
"""

import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import load
from tfs.savedmodel.tfrecord import read_tfrecord, write_tfrecord

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "DEFAULT_SIGNATURE",
    "MAX_RECORDS",
    "PredictRecord",
    "examples_of_input",
    "log_of_record",
    "read_predict_records",
    "read_records",
    "warmup_file",
    "without_repetitions",
    "write_records",
]

MAX_RECORDS = 1000  # the server fails the load of a version with more
DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class PredictRecord:
    """A predict request as recorded: the signature's name and the inputs by alias."""

    signature_name: str
    inputs: "dict[str, np.ndarray]"


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
    message = load("prediction_log_pb2").PredictionLog
    logs = []
    for number, data in enumerate(read_tfrecord(file)):
        try:
            logs.append(message.FromString(data))
        except DecodeError as error:
            raise TfsError(f"record {number} of `{file}` is no PredictionLog: {error}") from error
    return logs


def read_predict_records(directory: Path) -> list[PredictRecord]:
    """Return a version's predict records in order; records of other kinds are passed over.

    Raises:
        TfsError: the file or a tensor in it is damaged.
    """
    from tfs.savedmodel.tensors import array_from_proto

    return [
        PredictRecord(
            log.predict_log.request.model_spec.signature_name or DEFAULT_SIGNATURE,
            {alias: array_from_proto(proto) for alias, proto in sorted(log.predict_log.request.inputs.items())},
        )
        for log in read_records(directory)
        if log.WhichOneof("log_type") == "predict_log"
    ]


def log_of_record(record: PredictRecord, model_name: str = "") -> Any:
    """Return a predict record as the PredictionLog that stands in the file."""
    from tfs.savedmodel.tensors import proto_from_array

    log = load("prediction_log_pb2").PredictionLog()
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


def examples_of_input(request_input: Any) -> list[Any]:
    """Return the examples of a classify or regress request's `input`, without their shared context."""
    kind = request_input.WhichOneof("kind")
    return [] if kind is None else list(getattr(request_input, kind).examples)
