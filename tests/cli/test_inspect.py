import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tfs.savedmodel.protos import graph_pb2

_SCHEMA = Path(__file__).parents[2] / "docs" / "inspect.schema.json"


def test_tables_name_signatures_sizes_and_ops(tfs, exported):
    done = tfs("inspect", "1", "--ops", cwd=exported.parent)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines()]
    assert ["path", "1"] in rows
    assert ["tags", "serve"] in rows
    assert ["warm-up", "none"] in rows
    assert re.search(r"^│ exported +│ from \S+digits_model.py:digits, tfs \d\S+, keras \d\S+ +│$", done.stdout, re.M)
    assert ["serving_default", "in", "images", "float32", "[?, 8, 8, 1]", "serving_default_images:0"] in rows
    assert ["words", "in", "up", "bool", "[]", "words_up:0"] in rows
    assert ["Conv2D", "2"] in rows or ["Conv2D", "1"] in rows


def test_all_adds_functions_variables_and_ops(tfs, exported):
    done = tfs("inspect", exported, "--all")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines()]
    assert ["signatures.words", "text=string[?], up=bool[]", "half=float16[?], text=string[?]"] in rows
    kernel = ["float32", "[3, 3, 1, 4]", "144 B"]
    assert kernel in [row[1:] for row in rows if row and row[0].endswith("conv2d/kernel")]


def test_json_is_what_the_published_schema_says(tfs, exported, tmp_path):
    schema = tfs("inspect", "--schema").stdout
    assert schema == _SCHEMA.read_text(), f"run `tfs inspect --schema > {_SCHEMA}`"
    validator = jsonschema.Draft202012Validator(json.loads(schema))
    version = shutil.copytree(exported, tmp_path / "1")
    assert tfs("warmup", version, "--synthetic", "--records", "2").returncode == 0
    done = tfs("inspect", version, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    validator.validate(result)
    assert result["signatures"]["words"]["outputs"]["half"] == {
        "dtype": "float16",
        "shape": [None],
        "tensor": "PartitionedCall:0",
        "components": [],
    }
    assert (result["kind"], result["problems"], result["denied_ops"]) == ("saved_model", [], [])
    assert result["provenance"]["export"]["options"]["source"].endswith("digits_model.py:digits")
    validator.validate(json.loads(tfs("inspect", exported, "--diff", version, "--json").stdout))
    validator.validate(json.loads(tfs("inspect", exported, "--request", "--json").stdout))
    for key in ("path", "ops", "warmup"):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({name: value for name, value in result.items() if name != key})


def test_the_schema_says_what_each_key_means():
    definitions = json.loads(_SCHEMA.read_text())["$defs"]
    bare = [
        f"{name}.{key}"
        for name, definition in definitions.items()
        for key, entry in definition["properties"].items()
        if not entry.get("description")
    ]
    assert bare == []


def test_several_paths_are_shown_and_those_that_fail_are_told(tfs, exported, tmp_path):
    done = tfs("inspect", exported, tmp_path / "none", exported, "--json")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: `{tmp_path}/none` does not exist")
    assert [entry["path"] for entry in json.loads(done.stdout)] == [str(exported)] * 2


def test_diff_ends_with_one_when_clients_would_break(tfs, exported, tmp_path):
    done = tfs("inspect", exported, "--diff", exported)
    assert (done.returncode, done.stdout) == (0, f"{exported} -> {exported}: compatible\n")
    older = shutil.copytree(exported, tmp_path / "1")
    # The same length, so that the file stays one: the alias of an output becomes another.
    data = (older / "saved_model.pb").read_bytes()
    (older / "saved_model.pb").write_bytes(data.replace(b"classes", b"klasses"))
    done = tfs("inspect", exported, "--diff", older)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{older} -> {exported}: INCOMPATIBLE\n")
    assert "│ signature │ serving_default │ INCOMPATIBLE: output `klasses` is gone │" in done.stdout


def test_scan_ends_with_one_when_there_are_denied_ops(tfs, exported, tmp_path):
    done = tfs("inspect", exported, "--scan")
    assert (done.returncode, done.stdout) == (0, f"{exported}: no denied ops\n")
    graph = graph_pb2.GraphDef()
    graph.node.add(name="leak", op="ReadFile")
    (tmp_path / "frozen.pb").write_bytes(graph.SerializeToString())
    done = tfs("inspect", exported, tmp_path / "frozen.pb", "--scan")
    assert done.returncode == 1
    assert "│ ReadFile │ leak │             │ file access │" in done.stdout


def test_wrong_usage_exits_with_two(tfs, exported):
    for arguments in ([], [exported, "--url", "grpc://h/m"], [exported, exported, "--diff", exported]):
        done = tfs("inspect", *arguments)
        assert (done.returncode, done.stdout) == (2, "")


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
            "examples": None,
            "inputs": {
                "text": {"dtype": "string", "shape": [1], "first_values": ["the"]},
                "up": {"dtype": "bool", "shape": [], "first_values": [True]},
            },
        }
    ]
    table = tfs("inspect", version, "--warmup").stdout
    assert "records: 1 (words 1)" in table
    assert '│ 0      │ predict │ words     │ text  │ string │ [1]   │ "the"  │' in table


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


def test_what_it_does_not_need_is_not_loaded(exported):
    code = (
        "import sys; from tfs.cli.main import command_line\n"
        f"words = ['inspect', {str(exported)!r}, '--ops', '--warmup']\n"
        "command_line(words)(words, standalone_mode=False)\n"
        "heavy = ('tensorflow', 'tensorflow.python', 'keras', 'numpy', 'ml_dtypes', 'grpc', 'tfs.cli.serve')\n"
        "loaded = [name for name in heavy if name in sys.modules]\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "serving_default" in done.stdout
