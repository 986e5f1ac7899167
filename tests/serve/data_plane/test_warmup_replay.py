"""Warm-up records are replayed before a version becomes available, and a record that fails, fails the load.

One server has a model for each case, all with a sound version 1. Then every model gets a version 2 with a warm-up file.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from running_server import AVAILABLE, END, Models, RunningServer, publish

from tfs.savedmodel import protos
from tfs.savedmodel.tensors import proto_from_array
from tfs.savedmodel.tfrecord import write_tfrecord

MAX_RECORDS = 1000
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"


def predict_log(x: np.ndarray | None = None, signature: str = "") -> bytes:
    """Return a record; the model and version that it names do not matter."""
    log = protos.load("prediction_log_pb2").PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "somebody"
    request.model_spec.version.value = 99
    request.model_spec.signature_name = signature
    request.inputs["x"].CopyFrom(proto_from_array(np.zeros(3, np.float32) if x is None else x))
    return bytes(log.SerializeToString())


def other_log(kind: str) -> bytes:
    log = protos.load("prediction_log_pb2").PredictionLog()
    getattr(log, kind).SetInParent()
    return bytes(log.SerializeToString())


def tfrecord(*records: bytes) -> bytes:
    stream = io.BytesIO()
    write_tfrecord(stream, records)
    return stream.getvalue()


SOUND = tfrecord(predict_log())


@dataclass(frozen=True)
class Case:
    """The warm-up file of a version 2, and what becomes of that version."""

    file: Callable[[], bytes] | None
    records: int = 0
    code: str = "OK"
    message: str = ""


CASES = {
    "no_file": Case(None),
    "empty_file": Case(lambda: b""),
    "sound": Case(lambda: tfrecord(*[predict_log()] * 12), records=12),
    "named_signature": Case(lambda: tfrecord(predict_log(signature="serving_default")), records=1),
    "no_log_type": Case(lambda: tfrecord(b"", predict_log(), b""), records=3),
    "thousand": Case(lambda: tfrecord(*[predict_log()] * MAX_RECORDS), records=MAX_RECORDS),
    "one_more": Case(
        lambda: tfrecord(*[predict_log()] * (MAX_RECORDS + 1)),
        code="INVALID_ARGUMENT",
        message="Number of warmup records exceeds the maximum (1000) at ",
    ),
    "wrong_dtype": Case(
        lambda: tfrecord(predict_log(), predict_log(np.zeros(1, np.int32))),
        code="INVALID_ARGUMENT",
        message="Expects arg[0] to be float but int32 is provided",
    ),
    "unknown_signature": Case(
        lambda: tfrecord(predict_log(signature="other")),
        code="FAILED_PRECONDITION",
        message='Serving signature key "other" not found.',
    ),
    "unparsable": Case(
        lambda: tfrecord(b"\xff\xff\xff"), code="INVALID_ARGUMENT", message="Failed to parse warmup record: "
    ),
    "session_run": Case(
        lambda: tfrecord(other_log("session_run_log")),
        code="UNIMPLEMENTED",
        message="Unsupported log_type for warmup: 5",
    ),
    "predict_streamed": Case(
        lambda: tfrecord(other_log("predict_streamed_log")),
        code="UNIMPLEMENTED",
        message="Unsupported log_type for warmup: 7",
    ),
    **{
        name: Case(file, code="DATA_LOSS", message="Please verify your warmup data is in TFRecord format.")
        for name, file in {
            "no_tfrecord": lambda: b"some text that is no TFRecord file",
            "cut_off": lambda: SOUND[:-1],
            "cut_in_the_head": lambda: SOUND + SOUND[:5],
            "flipped_bit": lambda: SOUND[:20] + bytes([SOUND[20] ^ 1]) + SOUND[21:],
            "huge_length": lambda: tfrecord(b"x" * (1 << 16))[:100],
        }.items()
    },
}


def publish_warm(saved_model: Path, base: Path, version: int, file: bytes | None) -> None:
    """Publish a version whose warm-up file is there from the first moment."""
    staged = publish(saved_model, base.with_name(f"{base.name}.staged"), version)
    if file is not None:
        (staged / WARMUP_FILE).parent.mkdir(exist_ok=True)
        (staged / WARMUP_FILE).write_bytes(file)
    staged.rename(base / str(version))


@pytest.fixture(scope="module")
def server(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("warmup")
    entries = []
    for name in (*CASES, "slow"):
        publish(models.slow if name == "slow" else models.half_plus_two, folder / name, 1)
        entries.append(f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }}')
    config = folder / "models.config"
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    with RunningServer(f"--model_config_file={config}", "--max_num_load_retries=0") as server:
        for name, case in CASES.items():
            publish_warm(models.half_plus_three, folder / name, 2, case.file() if case.file else None)
        # About a second of work; the last model of the config, so that the others need not wait for it.
        record = predict_log(np.full(1, 400_000, np.float32))
        publish_warm(models.slow, folder / "slow", 2, tfrecord(record))
        yield server


@pytest.mark.parametrize("name", CASES)
def test_a_warm_up_file_decides_about_its_version(server: RunningServer, name: str) -> None:
    case = CASES[name]
    if case.code != "OK":
        server.wait_for_states(name, {2: END, 1: AVAILABLE})
        status = next(entry.status for entry in server.status(name) if entry.version == 2)
        assert protos.load("error_codes_pb2").Code.Name(status.error_code) == case.code
        assert case.message in status.error_message
        assert server.predict(name, 2.0) == (1, 3.0), "the old version goes on"
        return
    server.wait_for_states(name, {2: AVAILABLE, 1: END})
    assert server.predict(name, 2.0) == (2, 4.0)
    replayed = rf" \({case.records} warm-up records?\)" if case.records else ""
    server.wait_for_line(rf"{name} version 2: LOADING -> AVAILABLE in \d+\.\d\d s{replayed}$")


def test_requests_reach_a_version_only_after_its_records_were_replayed(server: RunningServer) -> None:
    server.wait_for_line("slow version 2: START -> LOADING")
    answered_by = [0]

    def switched() -> bool:
        answered_by.append(server.predict("slow", 1.0)[0])
        return answered_by[-1] == 2

    server.wait_for(switched)
    assert set(answered_by[1:-1]) == {1}, "the old version answers as long as the records run"
    took = server.wait_for_line(r"slow version 2: LOADING -> AVAILABLE in (\d+\.\d\d) s \(1 warm-up record")
    assert float(took[1]) > 0.3, "the record was run"
