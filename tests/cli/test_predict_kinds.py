"""`tfs predict` for every kind of address, method, input and output, against real servers."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from served import serving

from tfs.savedmodel.protos import example_pb2
from tfs.savedmodel.tfrecord import write_tfrecord

_MAKE_EXAMPLES_MODEL = Path(__file__).parents[1] / "serve" / "data_plane" / "make_examples_model.py"


@dataclass(frozen=True)
class _Examples:
    """The examples model, and a server that has it as `m`, with a unix socket."""

    base: Path
    rest: str
    unix: str


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(_MAKE_EXAMPLES_MODEL), str(folder / "m" / "1")]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    with serving("m", folder / "m", f"--grpc_socket_path={folder / 's.sock'}") as server:
        yield _Examples(folder / "m", server.rest, f"unix:{folder / 's.sock'}")


def _outputs(done):
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)["outputs"]


_EXAMPLES = json.dumps({"examples": [{"x": [1.0, 2.0]}, {"x": [0.5, 4.0]}]})
_CLASSES = {"classes": [["low", "high"]] * 2, "scores": [[1.0, 2.0], [0.5, 4.0]]}
_SUMS = {"values": [3.0, 4.5]}


@pytest.mark.parametrize("kind", ["unix", "rest"])
@pytest.mark.parametrize(("signature", "expected"), [("classify", _CLASSES), ("regress", _SUMS)])
def test_a_signature_is_called_as_it_is_meant(tfs, examples, kind, signature, expected):
    arguments = ["--model", "m", "--signature", signature, "--json"]
    assert _outputs(tfs("predict", getattr(examples, kind), *arguments, stdin=_EXAMPLES)) == expected


@pytest.mark.parametrize("kind", ["unix", "rest"])
def test_a_context_is_part_of_each_example(tfs, examples, kind):
    body = json.dumps({"context": {"x": [1.0, 1.0]}, "examples": [{}, {"x": [2.0, 3.0]}]})
    arguments = ["--model", "m", "--signature", "regress", "--json"]
    assert _outputs(tfs("predict", getattr(examples, kind), *arguments, stdin=body)) == {"values": [2.0, 5.0]}


@pytest.mark.parametrize("kind", ["unix", "rest"])
def test_examples_of_a_file_reach_every_method(tfs, examples, kind, tmp_path):
    serialized = []
    for values in ([1.0, 2.0], [0.5, 4.0]):
        example = example_pb2.Example()
        example.features.feature["x"].float_list.value.extend(values)
        serialized.append(example.SerializeToString())
    with (tmp_path / "e.tfrecord").open("wb") as stream:
        write_tfrecord(stream, serialized)

    def outputs(*arguments):
        data = ["--model", "m", "--data", tmp_path / "e.tfrecord", "--json"]
        return _outputs(tfs("predict", getattr(examples, kind), *data, *arguments))

    assert outputs("--signature", "classify") == _CLASSES
    assert outputs("--signature", "scores_only", "--method", "classify")["scores"] == _CLASSES["scores"]
    assert outputs("--signature", "regress", "--method", "predict") == {"outputs": [3.0, 4.5]}
    assert outputs("--signature", "other_input") == {"scores": [[1.0, 2.0], [0.5, 4.0]]}


def _keys(folder):
    """Make an authority (ca.pem), and a certificate (one.pem, one.key) for server and client that it has signed."""
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=test"]
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    for command in (
        ["req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem"],
        ["req", *new, "-keyout", "one.key", "-out", "one.csr"],
        ["x509", "-req", "-in", "one.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-extfile", "names", "-out", "one.pem"],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)


def test_a_server_with_tls_wants_the_right_files(tfs, examples, tmp_path):
    _keys(tmp_path)
    key, cert, ca = (json.dumps((tmp_path / name).read_text()) for name in ("one.key", "one.pem", "ca.pem"))
    (tmp_path / "ssl.config").write_text(f"server_key: {key} server_cert: {cert} custom_ca: {ca} client_verify: true")
    with serving("m", examples.base, f"--ssl_config_file={tmp_path / 'ssl.config'}") as server:
        url = server.grpc.replace("grpc:", "grpcs:")
        arguments = ["predict", url, "--model", "m", "--signature", "regress", "--json"]
        trust = ["--cacert", tmp_path / "ca.pem"]
        pair = ["--cert", tmp_path / "one.pem", "--key", tmp_path / "one.key"]
        assert _outputs(tfs(*arguments, *trust, *pair, stdin=_EXAMPLES)) == _SUMS
        for files in ([], trust):
            done = tfs(*arguments, *files, stdin=_EXAMPLES)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
            assert "answered UNAVAILABLE" in done.stderr


def test_data_of_the_wrong_kind_for_the_method_is_one_line(tfs, examples, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.ones(2))
    for arguments, body, words in (
        (["--data", tmp_path / "x.npz"], None, "classify takes examples"),
        ([], '{"instances": [1]}', "the request needs `examples`"),
        ([], '{"examples": [{"x": 1.0}, {"x": null}]}', "examples[1]: feature `x`"),
    ):
        done = tfs("predict", examples.unix, "--model", "m", "--signature", "classify", *arguments, stdin=body)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert words in done.stderr


def test_a_version_on_disk_is_asked_without_a_server(tfs, exported, server, tmp_path):
    images = np.random.default_rng(5).random((2, 8, 8, 1)).astype(np.float32)
    np.savez(tmp_path / "images.npz", images=images)
    local = tfs("predict", exported, "--data", tmp_path / "images.npz", "--json")
    served = tfs("predict", server.grpc, "--model", "digits", "--data", tmp_path / "images.npz", "--json")
    assert _outputs(local) == _outputs(served)
    assert json.loads(local.stdout)["model"] is None
    done = tfs("predict", exported, "--signature", "nope", stdin='{"instances": [1]}')
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"`{exported}` has no signature `nope`" in done.stderr
    done = tfs("predict", exported.parent, stdin='{"instances": [1]}')
    assert "is a base path with the versions 1" in done.stderr


def test_a_broken_version_on_disk_is_one_line(tfs, exported, tmp_path):
    import shutil

    broken = shutil.copytree(exported, tmp_path / "1")
    shutil.rmtree(broken / "variables")
    done = tfs("predict", broken, stdin='{"instances": [1]}')
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: ")


def test_images_are_rows_and_arrays_come_back(tfs, server, tmp_path):
    pixels = np.random.default_rng(7).integers(0, 256, (2, 8, 8), dtype=np.uint8)
    files = [tmp_path / "a.png", tmp_path / "b.bmp"]
    for file, image in zip(files, pixels, strict=True):
        Image.fromarray(image).save(file)
    np.savez(tmp_path / "in.npz", images=(pixels[..., None] / 255 * 2 - 1).astype(np.float32))
    asked = ["predict", server.grpc, "--model", "digits"]
    done = tfs(*asked, "--data", files[0], "--data", files[1], "--image-range=-1,1", "--output", tmp_path / "a.npz")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert tfs(*asked, "--data", tmp_path / "in.npz", "--output", tmp_path / "b.npz").returncode == 0
    with np.load(tmp_path / "a.npz") as first, np.load(tmp_path / "b.npz") as second:
        assert (first["scores"].dtype, first["scores"].shape) == (np.float32, (2, 10))
        assert first["classes"].dtype == np.int64
        np.testing.assert_allclose(first["scores"], second["scores"], rtol=1e-5)


def test_strings_and_half_floats_come_back_as_arrays(tfs, server, tmp_path):
    body = json.dumps({"signature_name": "words", "inputs": {"text": ["abc", {"b64": "/w=="}], "up": True}})
    done = tfs("predict", server.grpc, "--model", "digits", "--output", tmp_path / "o.npz", stdin=body)
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(tmp_path / "o.npz") as arrays:
        assert arrays["text"].tolist() == [b"ABC", b"\xff"]
        assert (arrays["half"].dtype, arrays["half"].tolist()) == (np.float16, [3.0, 1.0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["grpc://127.0.0.1:1", "--model", "m", "--output", "o.txt"], "is no .npz file"),
        (["grpc://127.0.0.1:1", "--model", "m", "--image-range", "1"], "is no pair of numbers"),
        (
            ["grpc://127.0.0.1:1", "--model", "m", "--data", "a.png", "--data", "b.json"],
            "several --data are for images",
        ),
        (["grpc://127.0.0.1:1", "--model", "m", "--cacert", "ca.pem"], "speaks no TLS"),
        (["nowhere"], "neither an address of a server nor a version directory"),
    ],
)
def test_wrong_usage_is_told(tfs, tmp_path, arguments, words):
    done = tfs("predict", *arguments, cwd=tmp_path, stdin="{}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
