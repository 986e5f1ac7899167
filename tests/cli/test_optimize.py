import json
import re
import shutil
from pathlib import Path

import pytest

from tfs.transforms.presets import PRESETS
from tfs.transforms.registry import PASSES, steps_of

_PAGE = (Path(__file__).parents[2] / "docs" / "optimize.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)


def _without_what_varies(text: str) -> list[str]:
    """Drop borders, spacing and numbers, which differ between machines and TensorFlow's releases, but not in paths."""
    text = re.sub(r"[─━┏┳┓┡╇┩├┼┤└┴┘┌┬┐│┃]+", " ", text)
    text = re.sub(r"(?<![\w/.])\d[\d.]*(e-\d+)?x?(?![\w/])", "<n>", text)
    text = re.sub(r"\b(B|KiB)\b", "<unit>", text)
    return " ".join(text.split()).split()


def test_the_page_shows_what_happens(tfs, tmp_path):
    model = _blocks("python")[0]
    (tmp_path / "digits.py").write_text(model)
    assert tfs("export", "digits.py:model", "--output", "models/digits", cwd=tmp_path).returncode == 0
    shown = [piece.split("\n", 1) for block in _blocks("console") for piece in re.split(r"^\$ ", block, flags=re.M)[1:]]
    assert [command.split()[1] for command, _ in shown] == ["export", "optimize", "optimize"]
    for (command, expected), code in zip(shown[1:], (0, 1), strict=True):
        done = tfs(*(word.strip("'") for word in command.split()[1:]), cwd=tmp_path)
        assert done.returncode == code, done.stderr
        warnings = re.compile(r"^warning: the result is slower.*\n", re.MULTILINE)  # on a busy machine
        assert _without_what_varies(done.stdout + warnings.sub("", done.stderr)) == _without_what_varies(expected)


def test_the_page_names_every_transform_argument_and_the_default_list():
    rows = {row.split("|")[1].strip(): row for row in _PAGE.splitlines() if row.startswith("| `")}
    assert rows.keys() == {f"`{name}`" for name in PASSES}
    for name, graph_pass in PASSES.items():
        assert all(f"`{argument.key}`" in rows[f"`{name}`"] for argument in graph_pass.arguments)
    [listed] = _blocks("text")
    assert listed.split() == PRESETS["serving"].transforms.split()
    assert steps_of(listed)


def test_the_page_s_own_pass_runs(tfs, exported, tmp_path):
    (tmp_path / "my_passes.py").write_text(_blocks("python")[1])
    transforms = "none my_passes:drop_debug"
    done = tfs("optimize", exported, "-o", "2", "--transforms", transforms, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passes"][-1]["name"] == "my_passes:drop_debug"


def test_transforms_are_listed_with_arguments_and_defaults(tfs):
    listed = json.loads(tfs("optimize", "--list-transforms", "--json").stdout)
    assert [entry["name"] for entry in listed["transforms"]] == list(PASSES)
    assert listed["presets"].keys() == PRESETS.keys()
    [fold] = [entry for entry in listed["transforms"] if entry["name"] == "fold_constants"]
    assert fold["arguments"][-1] == {
        "name": "max_constant_size_in_bytes",
        "type": "int",
        "required": False,
        "repeatable": False,
        "default": 10485760,
    }
    shown = tfs("optimize", "--list-transforms").stdout
    assert all(name in shown for name in PASSES)
    assert "max_constant_size_in_bytes=10485760 (int)" in shown


def test_json_has_stable_keys_and_stderr_is_quiet(tfs, exported, tmp_path):
    done = tfs("optimize", exported, "--output", tmp_path / "2", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert list(report) == [
        *("saved_model", "output", "transforms", "nodes", "bytes", "before", "after"),
        *("variables", "passes", "verification", "seconds"),
    ]
    assert report["after"]["graph_bytes"] > report["after"]["constant_bytes"] > 0
    assert sum(report["before"]["ops"].values()) == report["before"]["nodes"]
    assert {"signature", "output", "absolute", "relative"} == set(report["verification"]["outputs"][0])
    assert [entry["batch_size"] for entry in report["verification"]["latency"]] == [1, 32]
    provenance = json.loads((tmp_path / "2" / "assets.extra" / "provenance.json").read_text())
    assert provenance[-1]["transforms"] == "serving"
    assert report["nodes"]["after"] < report["nodes"]["before"]
    assert {"name", "nodes", "bytes", "seconds", "done", "skipped", "error"} == set(report["passes"][0])
    assert report["verification"]["requests"] >= 2
    assert (tmp_path / "2" / "saved_model.pb").is_file()


def test_an_optimized_version_answers_like_the_original(tfs, exported, tmp_path):
    assert tfs("optimize", exported, "-o", tmp_path / "2", "--no-verify").returncode == 0
    inspected = [json.loads(tfs("inspect", path, "--json").stdout) for path in (exported, tmp_path / "2")]
    described = [description["signatures"] for description in inspected]
    changes = [[change["command"] for change in found["provenance"]["changes"]] for found in inspected]
    assert changes == [[], ["tfs optimize"]]
    assert described[0] == described[1]


def test_a_dry_run_reports_and_writes_nothing_but_the_page(tfs, exported, tmp_path):
    done = tfs("optimize", exported, "--dry-run", "--html", "page.html", "--preset", "size", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "written: nothing (--dry-run)" in done.stdout
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]
    page = (tmp_path / "page.html").read_text()
    assert all(title in page for title in ("<h2>Passes</h2>", "<h2>Ops</h2>", "quantize_weights", "serving_default"))
    assert "http" not in page


def test_in_place_replaces_the_version(tfs, exported, tmp_path):
    version = Path(shutil.copytree(exported, tmp_path / "1"))
    done = tfs("optimize", version, "--in-place")
    assert done.returncode == 0, done.stderr
    assert f"written: {version}" in done.stdout
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]


def _missing(exported: Path, folder: Path) -> Path:
    return folder / "nowhere"


def _empty(exported: Path, folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _base_path(exported: Path, folder: Path) -> Path:
    return exported.parent


def _truncated(exported: Path, folder: Path) -> Path:
    copy = Path(shutil.copytree(exported, folder / "1"))
    graph = copy / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:1000])
    return copy


def _without_index(exported: Path, folder: Path) -> Path:
    copy = Path(shutil.copytree(exported, folder / "1"))
    (copy / "variables" / "variables.index").unlink()
    return copy


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (_missing, "nowhere` does not exist"),
        (_empty, "is no SavedModel"),
        (_base_path, "is a base path with the versions 1, not a version (name one: "),
        (_truncated, "saved_model.pb` is truncated or no SavedModel"),
        (_without_index, "cannot be loaded"),
    ],
)
def test_a_bad_model_is_one_line_and_exit_code_1(tfs, exported, tmp_path, source, words):
    done = tfs("optimize", source(exported, tmp_path), "-o", tmp_path / "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "{exported}"], "` exists"),
        ([], "give either --output DIR or --in-place"),
        (["-o", "new", "--in-place"], "give either --output DIR or --in-place"),
        (["-o", "new", "--transforms", "fold_all"], "unknown transform `fold_all`"),
        (["-o", "new", "--preset", "sise"], "unknown transform `sise` (did you mean `size`?)"),
        (["-o", "new", "--preset", "size", "--transforms", "none"], "give either --preset or --transforms"),
        (["-o", "new", "--transforms", "fold_constants("], "`fold_constants(` is not closed"),
        (["-o", "new", "--transforms", "remove_nodes(ops=A)"], "transform `remove_nodes` has no argument `ops`"),
        (["-o", "new", "--transforms", ""], "the list of transforms is empty"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(tfs, exported, tmp_path, options, words):
    done = tfs("optimize", exported, *(option.format(exported=exported) for option in options), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_mismatch_names_signature_and_output_and_writes_nothing(tfs, exported, tmp_path):
    done = tfs("optimize", exported, "-o", tmp_path / "2", "--transforms", "remove_nodes(op=StringUpper)")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"output `text` of signature `words` differs in \d+ of \d+ values; nothing", done.stderr)
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_was_left_alone_is_shown_with_the_reason(tfs, exported, tmp_path):
    done = tfs("optimize", exported, "-o", tmp_path / "2", "--transforms", "remove_nodes(op=Conv2D)")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^skipped by remove_nodes: .*it has 2 data inputs, more than max_inputs=1$", done.stdout, re.M)
