"""The examples on the pages of export, inspect, warmup, run and predict do what the pages show."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from served import serving

_DOCS = Path(__file__).parents[2] / "docs"


def _blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (_DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def _run(command, folder):
    """Run a command line as in a shell, with `tfs` on the PATH; stdout and stderr in the order of a terminal."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    ).stdout


def _without_what_varies(text):
    """Drop table borders and spacing, sizes, counts, versions and times, which differ."""
    text = re.sub(r"[─━┏┳┓┡╇┩├┼┤└┴┘┌┬┐]+\n?", "", text)
    text = re.sub(r"\d+(\.\d+)? (B|KiB)\b", "<size>", text)
    text = re.sub(r"; SLOWER than the original \([\d.]+x\)", "", text)  # on a busy machine
    text = re.sub(r"(TensorFlow|keras) \d+\.\d+\.\d+", r"\1 <version>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]{8}\+00:00", "<time>", text)
    text = re.sub(r"\d+ (nodes|with)\b", r"<count> \1", text)
    return [" ".join(line.split()) for line in text.strip().splitlines()]


def _follow(page, folder, replace=(), without=lambda text: text):
    """Run each command of a page's console blocks and compare what it prints with what the page shows.

    `replace` adapts commands and output to this machine, `without` takes out what differs from run to run.
    """
    examples = [
        piece.split("\n", 1) for block in _blocks(page, "console") for piece in re.split(r"^\$ ", block, flags=re.M)[1:]
    ]
    assert examples
    for command, shown in examples:
        adapted, expected = command, shown
        for old, new in replace:
            adapted, expected = adapted.replace(old, new), expected.replace(old, new)
        printed, wanted = without(_run(adapted, folder)), without(expected)
        assert _without_what_varies(printed) == _without_what_varies(wanted), command


@pytest.fixture(scope="module")
def exported_as_shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    [model] = _blocks("export.md", "python")
    (folder / "half_plus_two.py").write_text(model)
    [recipe] = [block for block in _blocks("export.md", "yaml") if block.startswith("output:")]
    (folder / "line.yaml").write_text(recipe)
    _follow("export.md", folder)
    return folder


@pytest.fixture
def folder(exported_as_shown, tmp_path):
    return shutil.copytree(exported_as_shown, tmp_path / "work")


def test_the_export_page(exported_as_shown):
    assert (exported_as_shown / "models" / "half_plus_two" / "1" / "saved_model.pb").is_file()


def test_the_inspect_page(folder):
    _follow("inspect.md", folder)


def test_the_warmup_page(folder):
    _follow("warmup.md", folder)


def test_the_run_page(folder):
    [recipe] = _blocks("run.md", "yaml")
    (folder / "half_plus_two.yaml").write_text(recipe)
    _follow("run.md", folder)
    assert (folder / "models/half_plus_two/5/assets.extra/tf_serving_warmup_requests").is_file()


@pytest.fixture
def addresses(folder):
    """What the pages call localhost:8500 and localhost:8501, and where that is: a server of the exported model."""
    with serving("half_plus_two", folder / "models" / "half_plus_two") as server:
        yield [("grpc://localhost:8500", server.grpc), ("http://localhost:8501", server.rest)]


def test_the_predict_page(folder, addresses):
    _follow("predict.md", folder, addresses)


def test_the_bench_page(folder, addresses):
    def without_measurements(text):
        # A percentile is absent where there were too few requests; a slow machine gets notes.
        text = re.sub(r"^note: .*\n|, of which \S+ were answered", "", text, flags=re.MULTILINE)
        return re.sub(r"\d[\d,.]*|null|(?<=│ )- ", "#", text.replace("slowest", "p99"))

    _follow("bench.md", folder, addresses, without_measurements)
    assert (folder / "latencies.png").read_bytes().startswith(b"\x89PNG")
