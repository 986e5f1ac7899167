import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from tfs.savedmodel.reading import read_saved_model, read_signatures
from tfs.savedmodel.warmup import read_records

_ROOT = Path(__file__).parents[2]

_RECIPE = """\
output: models/digits
export:
  source: digits_model.py:digits
  signatures:
    serving_default: digits_model.py:scores_and_classes
optimize:
  rtol: 1.0e-3
warmup:
  data: images.npz
  records: 3
"""


def _write_recipe(folder, model_file):
    (folder / "digits_model.py").write_text(model_file.read_text())
    images = np.random.default_rng(5).random((6, 8, 8, 1), dtype=np.float32)
    np.savez(folder / "images.npz", images=images)
    (folder / "digits.yaml").write_text(_RECIPE)
    return folder


@pytest.fixture
def folder(model_file, tmp_path):
    """A folder with a recipe and what it names."""
    return _write_recipe(tmp_path, model_file)


@pytest.fixture(scope="module")
def published(tfs, model_file, tmp_path_factory):
    """(what `tfs run --json` printed, the folder in which it ran)."""
    folder = _write_recipe(tmp_path_factory.mktemp("run"), model_file)
    done = tfs("run", "digits.yaml", "--json", "--set", "version=4", "--set", "warmup.records=2", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout), folder


def test_json_has_every_key(published):
    result, _ = published
    assert list(result) == ["path", "version", "optimized", "warmup_records", "warmup_notes", "inspection"]
    assert list(result["optimized"]) == [
        *("transforms", "nodes", "bytes", "before", "after", "variables", "passes", "verification", "seconds")
    ]
    assert (result["path"], result["version"]) == ("models/digits/4", 4)
    assert result["optimized"]["nodes"]["after"] < result["optimized"]["nodes"]["before"]
    assert result["optimized"]["verification"]["largest_difference"] < 1e-3


def test_what_is_set_wins_over_the_file(published):
    result, folder = published
    assert result["warmup_records"] == 2
    assert len(read_records(folder / "models/digits/4")) == 2


def test_the_version_is_the_optimized_model_with_its_signature(published):
    _, folder = published
    assert os.listdir(folder / "models/digits") == ["4"]
    [(name, signature)] = read_signatures(folder / "models/digits/4").items()
    assert name == "serving_default"
    assert sorted(signature.outputs) == ["classes", "scores"]
    from tfs.savedmodel.description import describe

    ops = describe(folder / "models/digits/4").ops
    assert "Conv2D" in ops
    assert not {"VarHandleOp", "ReadVariableOp", "StatefulPartitionedCall", "Rsqrt"} & set(ops)


def test_the_next_version_appears_by_one_rename_with_its_warm_up(folder):
    base = folder / "models" / "digits"
    (base / "1").mkdir(parents=True)
    command = [sys.executable, "-m", "tfs.cli", "run", "digits.yaml"]
    seen_before, complete = set(), None
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while complete is None and (process.poll() is None or (base / "2").exists()):
            names = set(os.listdir(base))
            if "2" in names:
                # In the same moment: what a server would find that polls just now.
                complete = {str(path.relative_to(base / "2")) for path in (base / "2").rglob("*") if path.is_file()}
            else:
                seen_before |= names
            time.sleep(0.001)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert complete is not None
    assert {"saved_model.pb", "assets.extra/tf_serving_warmup_requests"} <= complete
    assert complete == {str(path.relative_to(base / "2")) for path in (base / "2").rglob("*") if path.is_file()}
    assert all(name == "1" or name.startswith(".2.tmp-") for name in seen_before)
    assert sorted(os.listdir(base)) == ["1", "2"]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]
    assert [row[0] for row in rows] == ["export", "optimize", "verify", "warm-up", "inspect", "published"]
    assert ["warm-up", "3 records"] in rows
    assert ["published", "models/digits/2"] in rows


def test_stages_that_are_null_are_skipped(tfs, folder):
    done = tfs("run", "digits.yaml", "--json", "--set", "optimize=null", "--set", "warmup=null", cwd=folder)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    inspection = result.pop("inspection")
    assert inspection["signatures"] == ["serving_default"]
    assert inspection["nodes"] > 0
    assert inspection["bytes"] > 0
    assert result == {
        "path": "models/digits/1",
        "version": 1,
        "optimized": None,
        "warmup_records": None,
        "warmup_notes": [],
    }
    assert (folder / "models/digits/1/variables/variables.index").is_file()


def test_tags_and_text_come_after_the_last_stage(tfs, folder):
    changes = ["export.tags=[serve, cpu]", "export.as_text=true", "version=timestamp"]
    done = tfs("run", "digits.yaml", "--json", *(word for change in changes for word in ("--set", change)), cwd=folder)
    assert done.returncode == 0, done.stderr
    version = folder / json.loads(done.stdout)["path"]
    assert (version / "saved_model.pbtxt").is_file()
    assert not (version / "saved_model.pb").exists()
    assert sorted(read_saved_model(version).meta_graphs[0].meta_info_def.tags) == ["cpu", "serve"]
    assert len(read_records(version)) == 3
    assert abs(time.time() - int(version.name)) < 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("export.source=digits_model.py:nothing", "`digits_model.py` has no `nothing`"),
        ("optimize.transforms=remove_nodes(op=Conv2D, max_inputs=2)", "output"),
        ("warmup.data=missing.npz", "`missing.npz` does not exist"),
    ],
    ids=["export", "optimize", "warmup"],
)
def test_a_stage_that_fails_publishes_nothing(tfs, folder, change, message):
    done = tfs("run", "digits.yaml", "--set", change, cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (folder / "models").exists()


def test_a_version_that_exists_is_kept(tfs, folder):
    (folder / "models/digits/4").mkdir(parents=True)
    done = tfs("run", "digits.yaml", "--set", "version=4", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: `models/digits/4` exists already (another --version, or --overwrite)\n"
    assert os.listdir(folder / "models/digits") == ["4"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("warmup.record=3", "recipe `digits.yaml`, key `warmup.record`: Extra inputs are not permitted"),
        ("surprise={}", "recipe `digits.yaml`, key `surprise`: Extra inputs are not permitted"),
        ("version=-1", "recipe `digits.yaml`, key `version`: Input should be greater than or equal to 0"),
        ("optimize.rtol=0", "recipe `digits.yaml`, key `optimize.rtol`: Input should be greater than 0"),
        ("export=null", "recipe `digits.yaml`, key `export`: Input should be a valid dictionary"),
        ("output.x=1", "--set `output.x`: `output` is a value and has no keys"),
        ("no-equals-sign", "--set `no-equals-sign` is not KEY=VALUE"),
        ("version=[", "--set `version=[`: the value is no YAML: "),
    ],
)
def test_a_key_or_value_that_no_recipe_has_is_wrong_usage(tfs, folder, change, message):
    done = tfs("run", "digits.yaml", "--set", change, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
    assert not (folder / "models").exists()


@pytest.mark.parametrize(
    ("content", "exit_code", "message"),
    [
        (None, 1, "recipe `other.yaml` cannot be read: No such file or directory"),
        ("output: [", 1, "recipe `other.yaml` is no YAML: "),
        ("output: \x00", 1, "recipe `other.yaml` is no YAML: "),
        (b"output: \xff", 1, "recipe `other.yaml` is no YAML: "),
        ("- output", 2, "recipe `other.yaml` holds no mapping of keys"),
        ("", 2, "recipe `other.yaml` holds no mapping of keys"),
        ("export: {source: m.keras}", 2, "recipe `other.yaml`, key `output`: Field required"),
    ],
    ids=["missing", "syntax", "control character", "encoding", "list", "empty", "required key"],
)
def test_a_file_that_is_no_recipe_is_told_in_one_line(tfs, tmp_path, content, exit_code, message):
    if content is not None:
        (tmp_path / "other.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    done = tfs("run", "other.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1


def test_a_stage_can_be_set_that_the_file_leaves_empty(tfs, folder):
    (folder / "digits.yaml").write_text("output: models\nexport: {source: 'digits_model.py:nothing'}\nwarmup:\n")
    done = tfs("run", "digits.yaml", "--set", "warmup.records=1001", cwd=folder)
    assert done.returncode == 2
    assert "key `warmup.records`: Input should be less than or equal to 1000" in done.stderr


def test_the_warm_up_can_come_from_a_log(tfs, folder):
    from tfs.savedmodel.protos import prediction_log_pb2
    from tfs.savedmodel.tensors import proto_from_array
    from tfs.savedmodel.tfrecord import write_tfrecord

    logs = []
    for value in (0.5, 0.5, 1.0):
        log = prediction_log_pb2.PredictionLog()
        array = np.full((1, 8, 8, 1), value, np.float32)
        log.predict_log.request.inputs["images"].CopyFrom(proto_from_array(array))
        logs.append(log.SerializeToString())
    unfit = prediction_log_pb2.PredictionLog()
    unfit.predict_log.request.model_spec.signature_name = "gone"
    with (folder / "log.1.tfrecord").open("wb") as stream:
        write_tfrecord(stream, [*logs, unfit.SerializeToString()])
    changes = ["--set", "optimize=null", "--set", "warmup={from_log: log}"]
    done = tfs("run", "digits.yaml", "--json", *changes, cwd=folder)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["warmup_records"] == 2
    assert result["warmup_notes"][0].startswith("1 record(s) do not fit the model")
    assert done.stderr.startswith("warning: 1 record(s) do not fit")
    done = tfs("run", "digits.yaml", "--set", "warmup.from_log=log", cwd=folder)
    assert done.returncode == 2
    assert "key `warmup`: from_log stands alone" in done.stderr


def test_a_record_that_does_not_run_publishes_nothing(tfs, folder):
    with (folder / "digits_model.py").open("a") as file:
        file.write(
            "\ndef picky(model):\n"
            "    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name='x')])\n"
            "    def serve(x):\n"
            "        with tf.control_dependencies([tf.debugging.assert_greater(x, 2.0)]):\n"
            "            return {'y': tf.identity(x)}\n"
            "    return serve\n"
        )
    signature = "export.signatures={serving_default: 'digits_model.py:picky'}"
    done = tfs("run", "digits.yaml", "--set", signature, "--set", "optimize=null", "--set", "warmup={}", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "record 1 does not run" in done.stderr, done.stderr
    assert not (folder / "models").exists()


def test_the_published_schema_is_that_of_this_version(tfs):
    done = tfs("run", "--schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (_ROOT / "recipes/recipe.schema.json").read_text(), (
        "run `tfs run --schema > recipes/recipe.schema.json`"
    )


def test_the_recipes_of_the_project_are_valid_and_point_to_the_schema():
    from tfs.cli.recipe import read_recipe

    recipes = sorted((_ROOT / "recipes").glob("*.yaml"))
    assert recipes
    schema = jsonschema.Draft202012Validator(json.loads((_ROOT / "recipes/recipe.schema.json").read_text()))
    for recipe in recipes:
        read_recipe(recipe, [])
        schema.validate(yaml.safe_load(recipe.read_text()))
        assert recipe.read_text().startswith("# yaml-language-server: $schema=recipe.schema.json\n")


def test_the_page_names_every_key():
    schema = json.loads((_ROOT / "recipes/recipe.schema.json").read_text())
    stages = {"export": "ExportOptions", "optimize": "OptimizeStage", "warmup": "WarmupStage"}
    keys = {key for key in schema["properties"] if key not in stages}
    for stage, definition in stages.items():
        keys |= {f"{stage}.{key}" for key in schema["$defs"][definition]["properties"]}
    page = (_ROOT / "docs/run.md").read_text()
    assert {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")} == keys
