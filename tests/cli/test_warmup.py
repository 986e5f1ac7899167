import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture
def version(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "1")


def _replay(version):
    """Run the records of the file as a server does, through TensorFlow's own reader and the v1 loader."""
    import tensorflow as tf

    from tfs.savedmodel.protos import prediction_log_pb2
    from tfs.savedmodel.reading import read_signatures

    signatures = read_signatures(version)
    outputs = []
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(version))
        for data in tf.compat.v1.io.tf_record_iterator(str(version / "assets.extra" / "tf_serving_warmup_requests")):
            request = prediction_log_pb2.PredictionLog.FromString(data).predict_log.request
            signature = signatures[request.model_spec.signature_name or "serving_default"]
            feeds = {signature.inputs[alias].name: tf.make_ndarray(proto) for alias, proto in request.inputs.items()}
            outputs.append(session.run({alias: info.name for alias, info in signature.outputs.items()}, feeds))
    return outputs


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_json_lines_become_records_that_the_model_runs(tfs, version, tmp_path):
    image = np.zeros((8, 8, 1)).tolist()
    lines = [
        {"instances": [image, image]},
        {"signature_name": "words", "inputs": {"text": ["abc", {"b64": "/w=="}], "up": True}},
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = tfs("warmup", version, "--data", tmp_path / "r.jsonl")
    file = version / "assets.extra" / "tf_serving_warmup_requests"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"2 records, {file.stat().st_size} B, in {file}\n", "")
    first, second = _replay(version)
    assert first["scores"].shape == (2, 10)
    assert second["text"].tolist() == [b"ABC", b"\xff"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_arrays_and_generated_inputs_become_records_too(tfs, version, tmp_path):
    np.savez(tmp_path / "r.npz", images=np.arange(7 * 64).reshape(7, 8, 8, 1))
    done = tfs("warmup", version, "--data", tmp_path / "r.npz", "--records", "3", "--json")
    result = json.loads(done.stdout)
    assert result["records"] == 3
    assert result["by_signature"] == {"serving_default": 3}
    assert [len(outputs["classes"]) for outputs in _replay(version)] == [3, 2, 2]
    done = tfs("warmup", version, "--synthetic", "--signature", "words")
    assert done.returncode == 0
    texts = [outputs["text"].tolist()[0] for outputs in _replay(version)]
    # The first is a common word; nothing is written twice.
    assert texts[0] == b"THE"
    assert 1 < len(texts) <= 10


def test_a_bad_line_writes_nothing_and_keeps_the_old_records(tfs, version, tmp_path):
    assert tfs("warmup", version, "--synthetic").returncode == 0
    before = {file: file.read_bytes() for file in (version / "assets.extra").iterdir()}
    (tmp_path / "r.jsonl").write_text('{"instances": [1]}\n')
    done = tfs("warmup", version, "--data", tmp_path / "r.jsonl")
    message = f"error: `{tmp_path}/r.jsonl` line 1: input `images`: shape [1] does not fit [?, 8, 8, 1]\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)
    assert {file: file.read_bytes() for file in (version / "assets.extra").iterdir()} == before


def _log(file, *shapes):
    """Write a request log with a predict request of each shape, and one session run."""
    from tfs.savedmodel.protos import prediction_log_pb2
    from tfs.savedmodel.tensors import proto_from_array
    from tfs.savedmodel.tfrecord import write_tfrecord

    logs = [prediction_log_pb2.PredictionLog() for _ in (*shapes, None)]
    for log, shape in zip(logs, shapes, strict=False):
        log.predict_log.request.inputs["images"].CopyFrom(proto_from_array(np.zeros(shape, np.float32)))
    logs[-1].session_run_log.request.model_spec.name = "m"
    with file.open("wb") as stream:
        write_tfrecord(stream, [log.SerializeToString() for log in logs])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_request_log_becomes_records_too(tfs, version, tmp_path):
    files = [tmp_path / f"digits.20261120T17000{second}.000000Z.tfrecord" for second in (0, 1)]
    _log(files[0], (2, 8, 8, 1), (1, 9, 9, 1))
    _log(files[1], (3, 8, 8, 1))
    file = version / "assets.extra" / "tf_serving_warmup_requests"
    for source in ([tmp_path / "digits"], files):
        done = tfs("warmup", version, "--from-log", *source)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(rf"2 records, 1\.\d KiB, in {re.escape(str(file))}\n", done.stdout)
        assert done.stderr.splitlines() == [
            "warning: 2 session_run record(s) are left out: a server does not replay such",
            "warning: 1 record(s) do not fit the model and are left out, the first is "
            f"`{files[0]}` record 1: input `images`: shape [1, 9, 9, 1] does not fit [?, 8, 8, 1]",
        ]
        assert [len(outputs["classes"]) for outputs in _replay(version)] == [2, 3]
    done = tfs("warmup", version, "--from-log", tmp_path / "none")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_wrong_usage_exits_with_two(tfs, version, tmp_path):
    for arguments in (
        ["warmup"],
        ["warmup", version],
        ["warmup", version, "--synthetic", "--data", "r.jsonl"],
        ["warmup", version, "--measure", "--synthetic", "--data", "r.jsonl"],
        ["warmup", version, "--data", "r.csv"],
        ["warmup", version, "--synthetic", "--from-log", "log"],
        ["warmup", version, "--synthetic", "more"],
        ["warmup", version, "--synthetic", "--records", "0"],
        ["warmup", version, "--synthetic", "--records", "1001"],
    ):
        assert tfs(*arguments).returncode == 2, arguments
    assert not (version / "assets.extra" / "tf_serving_warmup_requests").exists()


def test_what_does_not_exist_is_one_line(tfs, version, tmp_path):
    done = tfs("warmup", version, "--synthetic", "--signature", "nope")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    done = tfs("warmup", tmp_path / "none", "--synthetic")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: `{tmp_path}/none` does not exist")


def test_tensorflow_is_not_loaded(version):
    code = (
        "import sys; from tfs.cli.main import command_line\n"
        f"words = ['warmup', {str(version)!r}, '--synthetic']\n"
        "command_line(words)(words, standalone_mode=False)\n"
        "loaded = [name for name in ('tensorflow', 'tensorflow.python', 'keras') if name in sys.modules]\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_generated_records_cover_every_signature_and_allowed_batch_size(tfs, version, tmp_path):
    (tmp_path / "batching.txt").write_text("max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8")
    only = ["--signature", "serving_default"]
    done = tfs("warmup", version, "--synthetic", *only, "--batching_parameters_file", tmp_path / "batching.txt")
    assert (done.returncode, done.stderr) == (0, "")
    content = json.loads(tfs("inspect", version, "--json").stdout)["warmup"]["content"]
    assert [record["inputs"]["images"]["shape"][0] for record in content] == [4, 8]
    done = tfs("warmup", version, "--synthetic", "--append", "--records", "1", "--json")
    assert json.loads(done.stdout)["by_signature"] == {"serving_default": 3, "words": 1}


def test_each_record_is_run_before_it_is_written(tfs, version, tmp_path):
    data = (version / "saved_model.pb").read_bytes()
    # The signature still fits, but the graph has lost a node of the way to it.
    (version / "saved_model.pb").write_bytes(data.replace(b"MatMul", b"MatMuk"))
    done = tfs("warmup", version, "--synthetic")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"error: `{version}` does not load: ")
    assert not (version / "assets.extra" / "tf_serving_warmup_requests").exists()


def test_measure_shows_the_first_request_with_and_without_records(tfs, version):
    done = tfs("warmup", version, "--measure")
    assert (done.returncode, done.stderr) == (
        1,
        f"error: `{version}` has no warm-up records (tfs warmup {version} --synthetic)\n",
    )
    done = tfs("warmup", version, "--synthetic", "--records", "2", "--measure", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    latencies = json.loads(done.stdout)["latencies"]
    assert all(0 < value["p50_ms"] <= value["p99_ms"] and value["load_ms"] > 0 for value in latencies.values())
    assert all(value["rested_ms"] > 0 for value in latencies.values())
    assert latencies["with"]["first_ms"] < latencies["without"]["first_ms"]
