import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from report import render
from sections import SECTIONS

_ROOT = Path(__file__).parents[2]
_needs_h2load = pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load not installed (make bench-tools)")


def _bench(*options):
    command = [sys.executable, "bench/run.py", *options]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=170)


def _headings(page):
    return [line for line in page.splitlines() if line.startswith("## ")]


@_needs_h2load
def test_a_section_is_measured_kept_and_told(tmp_path):
    page = tmp_path / "page.md"
    options = ["--only", "trivial", "--seconds", "0.2", "--rounds", "1"]
    done = _bench(*options, "--results", str(tmp_path), "--output", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert done.stdout.strip() == text.strip()
    rates = [float(rate.replace(",", "")) for rate in re.findall(r"\| ([\d,]+) \([\d,]+-[\d,]+\)", text)]
    assert len(rates) == 8
    assert min(rates) > 100
    assert "by `python bench/run.py --only trivial --seconds 0.2 --rounds 1`" in text

    again = tmp_path / "again.md"
    done = _bench("--page-only", "--results", str(tmp_path), "--output", str(again))
    assert done.returncode == 0, done.stderr
    assert again.read_text() == text


def test_the_published_page_has_every_section():
    assert _headings((_ROOT / "docs/benchmarks.md").read_text()) == _headings(
        render([(section, None) for section in SECTIONS])
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rounds", "0"], "--seconds must be above 0 and --rounds at least 1"),
        (["--only", "trivial,speed"], "--only: there is no section speed; take from trivial, digits, "),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_measured(options, message):
    done = _bench(*options)
    assert done.returncode == 2
    assert message in done.stderr.strip().splitlines()[-1]


def test_a_missing_load_generator_leaves_the_record_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    record = tmp_path / "large.json"
    done = _bench("--only", "large", "--results", str(tmp_path), "--output", str(tmp_path / "page.md"))
    assert done.returncode == 1
    assert not record.exists()
    assert done.stderr.strip().splitlines()[-1] == "error: not measured: large"
    assert "error: large: h2load is not installed; run `make bench-tools`" in done.stderr
