"""Records of a request log become warm-up records if the model can answer them."""

import io

import numpy as np
import pytest

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import example_pb2, prediction_log_pb2
from tfs.savedmodel.tensors import proto_from_array
from tfs.savedmodel.tfrecord import write_tfrecord
from tfs.savedmodel.warmup import read_records
from tfs.savedmodel.warmup_log import LogRecords, add_warmup_from_log, log_files

STAMPS = ("20261120T170000.000000Z", "20261120T170000.000001Z")


@pytest.fixture
def version(plain_model, tmp_path):
    """A version with the signatures `serving_default` (x) and `look_up` (words, counts, negate)."""
    import shutil

    return shutil.copytree(plain_model / "3", tmp_path / "3")


def predict(signature="", **inputs):
    log = prediction_log_pb2.PredictionLog()
    log.log_metadata.model_spec.name = "m"
    log.predict_log.request.model_spec.signature_name = signature
    for alias, array in inputs.items():
        log.predict_log.request.inputs[alias].CopyFrom(proto_from_array(np.asarray(array)))
    log.predict_log.response.outputs["y"].CopyFrom(proto_from_array(np.ones(3)))
    return log


def other(kind, signature="serving_default", method=None, examples=1):
    log = prediction_log_pb2.PredictionLog()
    request = getattr(log, kind).request
    if kind == "session_run_log":
        request.model_spec.name = "m"
        return log
    request.input.example_list.examples.extend([example_pb2.Example()] * examples)
    spec = request.tasks.add(method_name=f"tensorflow/serving/{method}").model_spec if method else request.model_spec
    spec.signature_name = signature
    return log


def write(file, *logs):
    stream = io.BytesIO()
    write_tfrecord(stream, [log.SerializeToString() for log in logs])
    file.write_bytes(stream.getvalue())
    return file


X = np.float32([1, 2])


def test_the_requests_are_kept_without_their_replies(version, tmp_path):
    words = predict("look_up", words=[["the", "a"]], counts=np.int32([[1]]), negate=True)
    file = write(tmp_path / "log", predict(x=X), words)
    assert add_warmup_from_log(version, [str(file)]).notes == []
    first, second = read_records(version)
    assert first.predict_log.request == predict(x=X).predict_log.request
    assert second.predict_log.request == words.predict_log.request
    assert not first.HasField("log_metadata")
    assert not first.predict_log.HasField("response")


def test_what_the_model_cannot_answer_is_left_out_and_told(version, tmp_path):
    unfit = {
        "has no signature `nope`": predict("nope", x=X),
        "there is no input `z`": predict(x=X, z=X),
        "input `x` is missing": predict(),
        "input `x` is float64, not float32": predict(x=np.ones(2)),
        "input `x`: shape [1, 1] does not fit [?]": predict(x=np.ones((1, 1), np.float32)),
        "signature `serving_default` is none for classify": other("classify_log"),
        "signature `serving_default` is none for regress": other("regress_log"),
        "the request has no examples": other("classify_log", examples=0),
        "signature `serving_default` is none for predict": other("multi_inference_log", method="predict"),
    }
    for reason, log in unfit.items():
        file = write(tmp_path / "log", log, predict(x=X))
        result = add_warmup_from_log(version, [str(file)])
        [note] = result.notes
        assert result.count == 1
        assert note.startswith(f"1 record(s) do not fit the model and are left out, the first is `{file}` record 0: ")
        assert reason in note
    file = write(tmp_path / "log", *unfit.values(), predict(x=X))
    [note] = add_warmup_from_log(version, [str(file)]).notes
    assert note.startswith("9 record(s) do not fit")
    output = predict(x=X)
    output.predict_log.request.output_filter.append("nope")
    with pytest.raises(TfsError, match="there is no output `nope`"):
        add_warmup_from_log(version, [str(write(tmp_path / "log", output))])


def test_what_was_asked_several_times_is_kept_once(version, tmp_path):
    file = write(tmp_path / "log", predict(x=X), predict(x=X), predict(x=X + 1), predict(x=X))
    assert add_warmup_from_log(version, [str(file)], records=2) == LogRecords(2, [])
    add_warmup_from_log(version, [str(file)], append=True)
    asked = [log.predict_log.request for log in read_records(version)]
    assert asked == [predict(x=X).predict_log.request, predict(x=X + 1).predict_log.request]


def test_session_runs_are_left_out_and_told(version, tmp_path):
    file = write(tmp_path / "log", other("session_run_log"), predict(x=X), other("session_run_log"))
    result = add_warmup_from_log(version, [str(file)])
    assert (result.count, result.notes) == (1, ["2 session_run record(s) are left out: a server does not replay such"])


def test_the_first_thousand_records_are_used(version, tmp_path):
    file = write(tmp_path / "log", *(predict(x=X + number) for number in range(1001)))
    result = add_warmup_from_log(version, [str(file)])
    assert (result.count, result.notes) == (1000, ["the log has more records, the first 1000 are used"])
    assert add_warmup_from_log(version, [str(file)], records=7).count == 7
    assert len(read_records(version)) == 7
    assert (
        add_warmup_from_log(
            version, [str(write(tmp_path / "log", *(predict(x=X + number) for number in range(1000))))]
        ).notes
        == []
    )


def test_a_file_that_is_cut_off_gives_what_is_whole(version, tmp_path):
    file = write(tmp_path / "log", predict(x=X), predict(x=X))
    file.write_bytes(file.read_bytes()[:-3])
    result = add_warmup_from_log(version, [str(file)])
    assert result.count == 1
    assert result.notes == [
        f"`{file}` ends within record 1: a server was killed or still writes it; the records before are used"
    ]


def test_what_is_no_log_is_refused_and_changes_nothing(version, tmp_path):
    file = write(tmp_path / "log", predict(x=X))
    add_warmup_from_log(version, [str(file)])
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(TfsError, match="damaged"):
        add_warmup_from_log(version, [str(file)])
    file.write_text("some text that is no log")
    with pytest.raises(TfsError, match="no TFRecord file"):
        add_warmup_from_log(version, [str(file)])
    with file.open("wb") as stream:
        write_tfrecord(stream, [b"\xff\xff"])
    with pytest.raises(TfsError, match="record 0 is no PredictionLog"):
        add_warmup_from_log(version, [str(file)])
    write(file)
    with pytest.raises(TfsError, match="has no record for"):
        add_warmup_from_log(version, [str(file)])
    assert len(read_records(version)) == 1


def test_a_prefix_a_pattern_and_files_name_the_same_log(tmp_path):
    files = [write(tmp_path / f"m[1].{stamp}.tfrecord") for stamp in reversed(STAMPS)][::-1]
    write(tmp_path / f"m[1]n.{STAMPS[0]}.tfrecord")
    prefix = str(tmp_path / "m[1]")
    assert log_files([prefix]) == files
    assert log_files([str(tmp_path / "m??]?2026*")]) == files
    assert log_files(list(map(str, files))) == files
    assert log_files([str(files[1]), prefix]) == [files[1], files[0]]
    with pytest.raises(TfsError, match="no request log begins so"):
        log_files([str(tmp_path / "other")])
    with pytest.raises(TfsError, match="no request log begins so"):
        log_files([str(tmp_path)])
