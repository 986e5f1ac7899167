import json
import shutil
import subprocess
import sys

import pytest


def test_tables_name_signatures_sizes_and_ops(tfs, exported):
    done = tfs("inspect", "1", "--ops", cwd=exported.parent)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines()]
    assert ["path", "1"] in rows
    assert ["tags", "serve"] in rows
    assert ["warm-up", "none"] in rows
    assert ["serving_default", "in", "images", "float32", "[?, 8, 8, 1]", "serving_default_images:0"] in rows
    assert ["words", "in", "up", "bool", "[]", "words_up:0"] in rows
    assert ["Conv2D", "2"] in rows or ["Conv2D", "1"] in rows


def test_json_has_every_key_always(tfs, exported):
    done = tfs("inspect", exported, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert list(result) == [
        *("path", "tags", "tensorflow_version", "graph_size", "variables_size", "nodes", "functions"),
        *("function_nodes", "signatures", "assets", "ops", "custom_ops", "warmup", "problems"),
    ]
    assert result["signatures"]["words"]["outputs"]["half"] == {
        "dtype": "float16",
        "shape": [None],
        "tensor": "PartitionedCall:0",
    }
    assert result["problems"] == []


def test_one_signature_can_be_asked_for(tfs, exported):
    result = json.loads(tfs("inspect", exported, "--json", "--signature", "words").stdout)
    assert list(result["signatures"]) == ["words"]
    done = tfs("inspect", exported, "--signature", "wrods")
    message = f"error: `{exported}` has no signature `wrods` (it has: serving_default, words)\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


def test_warm_up_records_are_listed(tfs, exported, tmp_path):
    version = shutil.copytree(exported, tmp_path / "1")
    assert tfs("warmup", version, "--synthetic", "--records", "1", "--signature", "words").returncode == 0
    content = json.loads(tfs("inspect", version, "--warmup", "--json").stdout)["warmup"]["content"]
    assert content == [
        {
            "kind": "predict",
            "signature_name": "words",
            "inputs": {"text": {"dtype": "string", "shape": [1]}, "up": {"dtype": "bool", "shape": []}},
        }
    ]
    table = tfs("inspect", version, "--warmup").stdout
    assert "records: 1 (words 1)" in table
    assert "│ 0      │ predict │ words     │ text  │ string │ [1]   │" in table


def test_a_base_path_lists_its_versions(tfs, exported):
    done = tfs("inspect", exported.parent)
    message = f"error: `{exported.parent}` is a base path with the versions 1, not a version (name one: {exported})\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


@pytest.mark.parametrize("content", [b"", b"not a protobuf at all", None], ids=["empty", "text", "truncated"])
def test_a_broken_file_is_one_line(tfs, exported, tmp_path, content):
    data = (exported / "saved_model.pb").read_bytes()[:1000] if content is None else content
    (tmp_path / "saved_model.pb").write_bytes(data)
    done = tfs("inspect", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: `{tmp_path}/saved_model.pb` is ")
    assert done.stderr.count("\n") == 1


def test_tensorflow_is_not_loaded(exported):
    code = (
        "import sys; from tfs.cli.main import app\n"
        f"app(['inspect', {str(exported)!r}, '--ops', '--warmup'], standalone_mode=False)\n"
        "loaded = [name for name in ('tensorflow', 'tensorflow.python', 'keras') if name in sys.modules]\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "serving_default" in done.stdout
