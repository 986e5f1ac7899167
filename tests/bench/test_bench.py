import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_MISSING = [tool for tool in ("h2load", "wrk") if shutil.which(tool) is None]
_needs_load_generators = pytest.mark.skipif(
    bool(_MISSING), reason=f"{' and '.join(_MISSING)} not installed (make bench-tools)"
)


def _bench(*options):
    command = [sys.executable, "bench/run.py", *options]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=170)


def _titles(page):
    return [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("|")]


@_needs_load_generators
def test_a_short_run_measures_every_row_of_the_published_page(tmp_path):
    page = tmp_path / "page.md"
    done = _bench("--seconds", "0.3", "--rounds", "1", "--output", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert done.stdout.strip() == text.strip()
    assert _titles(text) == _titles((_ROOT / "docs" / "benchmarks.md").read_text())
    rates = [float(rate.replace(",", "")) for rate in re.findall(r"\| ([\d,]+) \([\d,]+-[\d,]+\)", text)]
    assert len(rates) == 14
    assert min(rates) > 100
    assert len(re.findall(r"\d ms|\d us", text)) >= 24


def test_a_wrong_option_is_told_before_anything_is_measured():
    done = _bench("--rounds", "0")
    assert done.returncode == 2
    assert done.stderr.strip().endswith("--seconds must be above 0 and --rounds at least 1")
