"""docs/export.md names every key of a signature and every step, with its arguments."""

import re
from pathlib import Path

import yaml

from tfs.exporters.options import ExportOptions
from tfs.exporters.processing.registry import STEPS, Arguments
from tfs.exporters.signature_spec import SignatureSpec

_PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text()


def _rows(head):
    """The rows of the tables that begin with this line of titles, as lists of cells."""
    rows = []
    for rest in _PAGE.split(f"{head}\n")[1:]:
        lines = rest.splitlines()[1:]
        table = lines[: next(number for number, line in enumerate(lines) if not line.startswith("|"))]
        rows += [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]
    return rows


def test_every_key_of_a_signature():
    assert [row[0].strip("`") for row in _rows("| Key of a signature | |")] == list(SignatureSpec.model_fields)


def test_every_step_with_its_arguments():
    found = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in _rows("| Step | Arguments | |")}
    expected = {name: set(kind.arguments.model_fields) - set(Arguments.model_fields) for name, kind in STEPS.items()}
    for name, kind in STEPS.items():
        expected[name] |= set() if kind.replaces else {"into"}
    assert found == expected


def test_the_steps_on_the_page_are_steps():
    [steps] = [block for block in re.findall(r"```yaml\n(.*?)```", _PAGE, re.DOTALL) if block.startswith("preprocess")]
    declared = SignatureSpec(**yaml.safe_load(steps))
    assert [step.name for step in declared.preprocess][-2:] == ["join", "pad"]


def test_every_key_that_replaces_export_code_exists():
    rows = _rows("| Code | Recipe |")
    assert all(len(row) == 2 for row in rows)
    steps = {word for row in rows for word in re.findall(r"`- (\w+):", row[1])}
    assert steps <= set(STEPS)
    assert {"sentencepiece", "join", "pad", "class_names"} <= steps
    keys = {word for row in rows for word in re.findall(r"`(\w+):(?!\d)", row[1])}
    signatures = {"serving_default", "predict_images"}
    known = {*SignatureSpec.model_fields, *ExportOptions.model_fields, "output", "version", "warmup"} | signatures
    assert keys <= known
