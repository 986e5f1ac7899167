"""`tfs bench` against a real `tfs serve`, and in process."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

_SHORT = ["--duration", "0.4", "--warmup", "0.1"]


def _result(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_sweep_has_a_step_for_each_concurrency(tfs, server, protocol):
    done = tfs("bench", getattr(server, protocol), "--model", "digits", "--concurrency", "1,3", *_SHORT, "--json")
    result = _result(done)
    assert list(result)[:3] == ["throughput", "p50_ms", "p99_ms"]
    assert [step["concurrency"] for step in result["steps"]] == [1, 3]
    for step in result["steps"]:
        assert step["errors"] == {}
        assert step["requests"] == pytest.approx(step["throughput"] * step["seconds"])
        assert 0 < step["p50_ms"] <= step["p90_ms"] <= step["max_ms"]
    assert result["throughput"] == max(step["throughput"] for step in result["steps"])


def test_the_number_that_is_wanted_stands_first(tfs, server):
    done = tfs("bench", server.grpc, "--model", "digits", "--rate", "50,100", *_SHORT, "--processes", "2")
    assert done.returncode == 0, done.stderr
    first, *table = done.stdout.splitlines()
    # A machine with other work may not keep up.
    assert re.fullmatch(
        rf"(slowest|p99) [\d.]+ ms at (50|100) requests/s(, of which .* answered)?: {server.grpc}", first
    )
    rows = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in table]
    assert ["load", "requests/s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms", "answered", "failed"] in rows
    assert [row[0] for row in rows if row and row[0].endswith("/s")] == ["50/s", "100/s"]


def test_requests_from_data_are_sent_in_turn_and_refusals_counted(tfs, server, tmp_path):
    good = {"signature_name": "words", "inputs": {"text": ["a"], "up": True}}
    bad = {"signature_name": "words", "inputs": {"text": ["a"], "up": 3}}
    (tmp_path / "r.jsonl").write_text(f"{json.dumps(good)}\n\n{json.dumps(bad)}\n")
    # REST cannot write the half floats of this signature: nothing is answered well.
    arguments = ["--model", "digits", "--data", tmp_path / "r.jsonl", *_SHORT]
    done = tfs("bench", server.rest, *arguments)
    assert done.returncode == 1
    assert re.search(r"1 at a time: [\d,]+ x 400: ", done.stderr)
    assert re.search(r"^error: no request was answered well: 400: ", done.stderr, re.MULTILINE)
    np.savez(tmp_path / "r.npz", images=np.zeros((2, 8, 8, 1), np.float32))
    result = _result(tfs("bench", server.grpc, "--model", "digits", "--data", tmp_path / "r.npz", *_SHORT, "--json"))
    assert result["steps"][0]["requests"] > 0
    refused = {"signature_name": "words", "inputs": {"text": ["a"]}}
    (tmp_path / "r.json").write_text(json.dumps(refused))
    done = tfs("bench", server.grpc, "--model", "digits", "--data", tmp_path / "r.json", *_SHORT)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "input `up` is missing" in done.stderr


@pytest.mark.parametrize("load", [["--concurrency", "2"], ["--rate", "100"]])
def test_a_model_in_this_process(tfs, exported, load):
    result = _result(tfs("bench", exported, *load, "--signature", "words", *_SHORT, "--json"))
    [step] = result["steps"]
    assert step["requests"] > 10
    assert step["generator_busy"] is None
    assert (step["rate"], result["model"]) == (100.0 if "--rate" in load else None, "local")
    if "--rate" in load:
        assert step["requests"] == 40


def test_failures_in_process_are_counted_as_those_of_a_server(tfs, exported, tmp_path):
    fits, fails = ({"instances": np.zeros((1, size, size, 1)).tolist()} for size in (8, 9))
    (tmp_path / "both.jsonl").write_text(f"{json.dumps(fits)}\n{json.dumps(fails)}\n")
    result = _result(tfs("bench", exported, "--data", tmp_path / "both.jsonl", *_SHORT, "--json"))
    [(code, failed)] = result["steps"][0]["errors"].items()
    assert code == "INVALID_ARGUMENT"
    assert abs(failed["count"] - result["steps"][0]["requests"]) <= 1 < failed["count"]
    (tmp_path / "bad.json").write_text(json.dumps(fails))
    done = tfs("bench", exported, "--data", tmp_path / "bad.json", *_SHORT)
    assert done.returncode == 1
    assert re.search(r"^error: no request was answered well: INVALID_ARGUMENT: ", done.stderr, re.MULTILINE)


def test_a_picture_of_the_latencies(tfs, server, tmp_path):
    from PIL import Image

    file = tmp_path / "latencies.png"
    done = tfs("bench", server.grpc, "--model", "digits", "--concurrency", "1,2", *_SHORT, "--plot", file)
    assert done.returncode == 0, done.stderr
    with Image.open(file) as image:
        assert image.format == "PNG"
        colours = image.convert("RGB").resize((200, 80)).getcolors(200 * 80)
    assert len(colours) > 20


def test_without_matplotlib_one_line_says_what_to_install(tmp_path):
    code = (
        "import importlib.util as u, sys\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'matplotlib' else find(name, *rest)\n"
        "sys.argv = ['tfs', 'bench', 'grpc://127.0.0.1:1', '--model', 'm', '--plot', sys.argv[1]]\n"
        "from tfs.cli.main import main; main()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "p.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("error: --plot needs matplotlib, which is not installed (pip install 'tfs[bench]')\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["grpc://127.0.0.1:1"], 2, "--model is missing"),
        (["nowhere"], 2, "`nowhere` is neither an address of a server nor a version directory"),
        ([".", "--model", "m"], 2, "--model and --version are for a server"),
        ([".", "--key", "k.pem"], 2, "are for a server"),
        ([".", "--processes", "2"], 2, "--processes and --connections are for a server"),
        (["grpc://127.0.0.1:1", "--model", "m", "--rate", "1", "--concurrency", "1"], 2, "--concurrency is for"),
        (["grpc://127.0.0.1:1", "--model", "m", "--concurrency", "1,a"], 2, "is no list of numbers"),
        (["grpc://127.0.0.1:1", "--model", "m", "--rate", "0"], 2, "not above 0"),
        (["grpc://127.0.0.1:1", "--model", "m", "--plot", "p.pdf"], 2, "is no .png file"),
        (["grpc://127.0.0.1:1", "--model", "m"], 1, "answered UNAVAILABLE"),
        (["."], 1, "is no SavedModel"),
    ],
)
def test_what_cannot_be_measured_is_one_line(tfs, tmp_path, arguments, code, words):
    done = tfs("bench", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert words in done.stderr
