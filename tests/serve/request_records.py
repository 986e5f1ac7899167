"""Reading what a server has written into a request log."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tfs.savedmodel import protos
from tfs.savedmodel.tfrecord import TruncatedError, read_tfrecord


def logging_config(prefix: Path | str, rate: float = 1.0, more: str = "") -> str:
    """Return the field of a ModelConfig, in text format."""
    collector = f'log_collector_config {{ type: "file" filename_prefix: "{prefix}" }}'
    return f"logging_config {{ {collector} sampling_config {{ sampling_rate: {rate} {more} }} }}"


def log_files(prefix: Path) -> list[Path]:
    """Return the files of a prefix, the oldest first."""
    return sorted(prefix.parent.glob(f"{prefix.name}.*.tfrecord"))


def logged(prefix: Path) -> list[Any]:
    """Return the PredictionLogs of a prefix, the oldest first; every file must be whole."""
    parse = protos.load("prediction_log_pb2").PredictionLog.FromString
    return [parse(data) for file in log_files(prefix) for data in read_tfrecord(file)]


def wait_for_records(prefix: Path, count: int, timeout: float = 10) -> list[Any]:
    """Wait until so many records can be read, and return them all."""
    end = time.monotonic() + timeout
    records: list[Any] = []
    while len(records) < count:
        assert time.monotonic() < end, f"{len(records)} of {count} records"
        time.sleep(0.02)
        with suppress(TruncatedError):  # the last one is being written
            records = logged(prefix)
    assert len(records) == count
    return records
