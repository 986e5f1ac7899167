"""`tfs inspect --request` and `--url` against a server that runs the model."""

import json
import re
import subprocess
import sys

import jsonschema
import pytest


@pytest.fixture(scope="module")
def served(exported):
    """The exported model, served: addresses of gRPC and REST."""
    flags = ["--port=-1", "--rest_api_port=-1", "--model_name=digits", f"--model_base_path={exported.parent}"]
    command = [sys.executable, "-m", "tfs.cli", "serve", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        ready = next(filter(None, (re.search(r"ready: grpc=(\S+) rest=(\S+)", line) for line in server.stderr)))
        yield ready[1], ready[2]
        server.terminate()
        server.stderr.read()


def _samples(tfs, *arguments):
    done = tfs("inspect", *arguments, "--request", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return {sample["signature"]: sample for sample in json.loads(done.stdout)}


def test_the_curl_lines_are_answered(tfs, exported, served):
    for samples in (_samples(tfs, exported), _samples(tfs, "--url", f"http://{served[1]}/v1/models/digits")):
        line = samples["serving_default"]["curl"].replace("localhost:8501", served[1])
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=60)
        answer = json.loads(done.stdout)
        assert len(answer["predictions"][0]["scores"]) == 10, answer
        assert samples["words"]["curl"] is None, "it has a float16 output, which REST cannot write"


def test_the_python_programs_are_answered(tfs, served):
    samples = _samples(tfs, "--url", f"grpc://{served[0]}/digits")
    assert f'"{served[0]}"' in samples["words"]["grpc"]
    # One process for both: most of the time goes into the import of TensorFlow.
    program = "\n".join(sample["grpc"] for sample in samples.values())
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [done.stdout.count(f'key: "{alias}"') for alias in ("scores", "classes", "text", "half")] == [1, 1, 1, 1]


@pytest.mark.parametrize("form", ["http://{1}/v1/models/digits", "grpc://{0}/digits", "grpc://{0}/digits/versions/1"])
def test_a_served_model_is_shown_with_its_versions(tfs, exported, served, form):
    url = form.format(*served)
    result = json.loads(tfs("inspect", "--url", url, "--json").stdout)
    assert result["versions"] == [{"version": 1, "state": "AVAILABLE", "error": ""}]
    assert result["signatures"] == json.loads(tfs("inspect", exported, "--json").stdout)["signatures"]
    jsonschema.validate(result, json.loads(tfs("inspect", "--schema").stdout))


def test_a_served_model_is_shown_as_tables(tfs, served):
    done = tfs("inspect", "--url", f"http://{served[1]}/v1/models/digits", "--signature", "words")
    assert done.returncode == 0
    assert "│ 1       │ AVAILABLE │" in done.stdout
    assert "│ words     │ in  │ text" in done.stdout
    assert "serving_default" not in done.stdout


def test_a_server_or_model_that_is_not_there_is_one_line(tfs, served):
    for url, message in (
        (f"http://{served[1]}/v1/models/none", "answered 404"),
        (f"grpc://{served[0]}/none", "answered NOT_FOUND"),
        ("http://127.0.0.1:9/v1/models/none", "cannot be reached"),
    ):
        done = tfs("inspect", "--url", url)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert message in done.stderr
    for url in (f"http://{served[1]}/digits", "digits", f"grpc://{served[0]}/digits/versions/one"):
        assert tfs("inspect", "--url", url).returncode == 2
