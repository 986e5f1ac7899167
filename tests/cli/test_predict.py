"""`tfs predict` against a real `tfs serve`, over both protocols."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest


@pytest.fixture(params=["grpc", "rest"])
def target(request, server):
    return getattr(server, request.param)


_IMAGES = np.random.default_rng(3).random((3, 8, 8, 1)).astype(np.float32)
_WORDS = {"signature_name": "words", "inputs": {"text": ["abc", {"b64": "/w=="}], "up": True}}


def _expected_scores(exported):
    import tensorflow as tf

    return tf.saved_model.load(str(exported)).signatures["serving_default"](tf.constant(_IMAGES))["scores"].numpy()


def test_rows_from_a_file_are_answered_as_the_model_does(tfs, target, exported, tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"instances": _IMAGES.tolist()}))
    done = tfs("predict", target, "--model", "digits", "--data", tmp_path / "r.json", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["model"], result["signature"], list(result)[-1]) == ("digits", "serving_default", "outputs")
    assert result["version"] == (1 if target.startswith("grpc") else None)
    expected = _expected_scores(exported)
    np.testing.assert_allclose(result["outputs"]["scores"], expected, rtol=1e-5)
    assert result["outputs"]["classes"] == expected.argmax(axis=1).tolist()


def test_arrays_give_the_same_as_json(tfs, target, exported, tmp_path):
    np.savez(tmp_path / "r.npz", images=_IMAGES.astype(np.float64))
    arguments = ["--model", "digits", "--version", "1", "--data", tmp_path / "r.npz", "--json"]
    result = json.loads(tfs("predict", target, *arguments).stdout)
    np.testing.assert_allclose(result["outputs"]["scores"], _expected_scores(exported), rtol=1e-5)
    assert result["version"] == 1


def test_strings_bytes_and_bools_travel_over_grpc(tfs, server):
    done = tfs("predict", server.grpc, "--model", "digits", "--json", stdin=json.dumps(_WORDS))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "model": "digits",
        "version": 1,
        "signature": "words",
        "outputs": {"half": [3.0, 1.0], "text": ["ABC", {"b64": "/w=="}]},
    }


def test_strings_of_npz_files_travel_over_grpc(tfs, server, tmp_path):
    np.savez(tmp_path / "r.npz", text=np.array(["a", "\u00e9"]), up=np.array(False))
    arguments = ["--model", "digits", "--signature", "words", "--data", tmp_path / "r.npz", "--json"]
    outputs = json.loads(tfs("predict", server.grpc, *arguments).stdout)["outputs"]
    assert outputs == {"half": [1.0, 2.0], "text": ["a", "\u00e9"]}


def test_a_table_has_a_row_for_each_instance(tfs, target):
    body = json.dumps({"inputs": _IMAGES.tolist()})
    done = tfs("predict", target, "--model", "digits", stdin=body)
    assert (done.returncode, done.stderr) == (0, "")
    cells = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in done.stdout.splitlines()]
    assert ["row", "classes", "scores"] in cells
    assert [row[0] for row in cells if row and row[0].isdecimal()] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("arguments", "grpc_words", "rest_words"),
    [
        (["--model", "other"], "answered NOT_FOUND: ", "answered 404: "),
        (["--model", "digits", "--version", "9"], "answered NOT_FOUND: ", "answered 404: "),
        (["--model", "digits", "--signature", "nope"], "has no signature `nope`", "has no signature `nope`"),
    ],
    ids=["model", "version", "signature"],
)
def test_what_the_server_does_not_have_is_one_line(tfs, target, arguments, grpc_words, rest_words):
    done = tfs("predict", target, *arguments, stdin='{"instances": [1]}')
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: ")
    assert (grpc_words if target.startswith("grpc") else rest_words) in done.stderr


def test_data_that_does_not_fit_is_refused(tfs, target):
    def refusal(instance):
        done = tfs("predict", target, "--model", "digits", stdin=json.dumps({"instances": [instance]}))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        return done.stderr

    over_grpc = target.startswith("grpc")
    assert ("input `images`: `'a'` is no float32" if over_grpc else "answered 400: ") in refusal(["a"])
    # Shapes are the graph's own affair: the server answers for them.
    too_small = np.zeros((4, 4, 1)).tolist()
    assert ("answered INVALID_ARGUMENT: " if over_grpc else "answered 400: ") in refusal(too_small)


@pytest.mark.parametrize(("scheme", "words"), [("http", "cannot be reached"), ("grpc", "answered UNAVAILABLE")])
def test_a_server_that_is_not_there_is_one_line(tfs, scheme, words):
    # Port 1 needs privileges and has no server.
    done = tfs("predict", f"{scheme}://127.0.0.1:1", "--model", "m", stdin='{"instances": [1]}')
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert words in done.stderr


class _NoModelServer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>" if "metadata" in self.path and "html" in self.path else b'{"a": 1}')

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize(
    ("model", "words"), [("html", "answered 200 with something else than JSON"), ("m", "metadata cannot be read")]
)
def test_a_server_of_another_kind_is_one_line(tfs, model, words):
    with ThreadingHTTPServer(("127.0.0.1", 0), _NoModelServer) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = tfs("predict", url, "--model", model, stdin='{"instances": [1]}')
        server.shutdown()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert words in done.stderr


def test_bad_data_is_refused_before_the_server_is_asked(tfs, tmp_path):
    def refusal(data, stdin=None):
        done = tfs("predict", "http://127.0.0.1:1", "--model", "m", "--data", data, stdin=stdin)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        return done.stderr

    assert "`-` is no JSON" in refusal("-", stdin="{")
    assert "no JSON object" in refusal("-", stdin="[1]")
    assert "missing.json` cannot be read" in refusal(tmp_path / "missing.json")
    assert "missing.npz` does not exist" in refusal(tmp_path / "missing.npz")


def test_wrong_usage_exits_with_two(tfs):
    for arguments in (
        ["predict"],
        ["predict", "http://127.0.0.1:1"],
        ["predict", "127.0.0.1:8500", "--model", "m"],
        ["predict", "ftp://127.0.0.1", "--model", "m"],
        ["predict", "http://127.0.0.1:1", "--model", "m", "--version", "newest"],
    ):
        assert tfs(*arguments, stdin='{"instances": [1]}').returncode == 2, arguments
