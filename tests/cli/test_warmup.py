import json
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
            signature = signatures[request.model_spec.signature_name]
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
    assert (done.returncode, done.stdout, done.stderr) == (0, f"2 records in {file}\n", "")
    first, second = _replay(version)
    assert first["scores"].shape == (2, 10)
    assert second["text"].tolist() == [b"ABC", b"\xff"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_arrays_and_generated_inputs_become_records_too(tfs, version, tmp_path):
    np.savez(tmp_path / "r.npz", images=np.zeros((7, 8, 8, 1)))
    done = tfs("warmup", version, "--data", tmp_path / "r.npz", "--records", "3", "--json")
    result = json.loads(done.stdout)
    assert result["records"] == 3
    assert result["by_signature"] == {"serving_default": 3}
    assert [len(outputs["classes"]) for outputs in _replay(version)] == [3, 2, 2]
    done = tfs("warmup", version, "--synthetic", "--signature", "words")
    assert done.returncode == 0
    assert len(_replay(version)) == 10


def test_a_bad_line_writes_nothing_and_keeps_the_old_records(tfs, version, tmp_path):
    assert tfs("warmup", version, "--synthetic").returncode == 0
    before = {file: file.read_bytes() for file in (version / "assets.extra").iterdir()}
    (tmp_path / "r.jsonl").write_text('{"instances": [1]}\n')
    done = tfs("warmup", version, "--data", tmp_path / "r.jsonl")
    message = f"error: `{tmp_path}/r.jsonl` line 1: input `images`: shape [1] does not fit [?, 8, 8, 1]\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)
    assert {file: file.read_bytes() for file in (version / "assets.extra").iterdir()} == before


def test_wrong_usage_exits_with_two(tfs, version, tmp_path):
    for arguments in (
        ["warmup"],
        ["warmup", version],
        ["warmup", version, "--synthetic", "--data", "r.jsonl"],
        ["warmup", version, "--data", "r.csv"],
        ["warmup", version, "--synthetic", "--records", "0"],
        ["warmup", version, "--synthetic", "--records", "1001"],
    ):
        assert tfs(*arguments).returncode == 2, arguments
    assert not (version / "assets.extra").exists()


def test_what_does_not_exist_is_one_line(tfs, version, tmp_path):
    done = tfs("warmup", version, "--synthetic", "--signature", "nope")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    done = tfs("warmup", tmp_path / "none", "--synthetic")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: `{tmp_path}/none` does not exist")


def test_tensorflow_is_not_loaded(version):
    code = (
        "import sys; from tfs.cli.main import app\n"
        f"app(['warmup', {str(version)!r}, '--synthetic'], standalone_mode=False)\n"
        "loaded = [name for name in ('tensorflow', 'tensorflow.python', 'keras') if name in sys.modules]\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
