import shutil

import numpy as np
import pytest

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import prediction_log_pb2
from tfs.savedmodel.warmup import (
    PredictRecord,
    log_of_record,
    read_predict_records,
    read_records,
    warmup_file,
    write_records,
)
from tfs.savedmodel.warmup_summary import WarmupSummary, summarize


@pytest.fixture
def version(tmp_path):
    (tmp_path / "1").mkdir()
    return tmp_path / "1"


def _log(value, signature="serving_default"):
    return log_of_record(PredictRecord(signature, {"x": np.array([value], np.float32)}))


def test_records_come_back_in_order(version):
    path = write_records(version, [_log(1), _log(2, "other")])
    assert path == version / "assets.extra" / "tf_serving_warmup_requests"
    records = read_predict_records(version)
    assert [(record.signature_name, record.inputs["x"].tolist()) for record in records] == [
        ("serving_default", [1.0]),
        ("other", [2.0]),
    ]
    assert summarize(version) == WarmupSummary(2, path.stat().st_size, {"other": 1, "serving_default": 1})


def test_no_file_means_no_records(version):
    assert read_records(version) == []
    assert summarize(version) is None


def test_writing_replaces_the_file_and_leaves_nothing_else(version):
    write_records(version, [_log(1), _log(2)])
    write_records(version, [_log(3)])
    assert len(read_records(version)) == 1
    assert [path.name for path in (version / "assets.extra").iterdir()] == ["tf_serving_warmup_requests"]
    assert warmup_file(version).stat().st_mode & 0o777 == 0o644


def test_the_servers_limit_of_a_thousand_records_holds(version):
    write_records(version, [_log(1)] * 1000)
    with pytest.raises(TfsError, match="1001 warm-up records are more"):
        write_records(version, [_log(1)] * 1001)
    assert len(read_records(version)) == 1000


def test_other_kinds_of_records_are_counted_but_not_read_as_predict(version):
    classify = prediction_log_pb2.PredictionLog()
    classify.classify_log.request.model_spec.signature_name = "classes"
    write_records(version, [_log(1), classify, prediction_log_pb2.PredictionLog()])
    assert summarize(version).by_signature == {"(none)": 1, "classes": 1, "serving_default": 1}
    assert len(read_predict_records(version)) == 1


def test_a_record_that_is_no_prediction_log_is_named(version):
    from tfs.savedmodel.tfrecord import write_tfrecord

    write_records(version, [])
    with warmup_file(version).open("wb") as stream:
        write_tfrecord(stream, [_log(1).SerializeToString(), b"\xff\xff"])
    with pytest.raises(TfsError, match=r"record 1 of .*tf_serving_warmup_requests` is no PredictionLog"):
        read_records(version)


def test_a_version_that_cannot_be_written_to_is_named(version):
    shutil.rmtree(version)
    with pytest.raises(TfsError, match="tf_serving_warmup_requests` cannot be written: No such file"):
        write_records(version, [_log(1)])
