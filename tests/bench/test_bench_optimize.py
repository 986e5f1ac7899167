import re
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def _bench(*options):
    command = [sys.executable, "bench/optimize.py", *options]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=170)


def test_a_network_is_measured_and_kept(tmp_path):
    options = ["--results", str(tmp_path)]
    done = _bench("--only", "deepfm", "--seconds", "0.1", "--batch-sizes", "2", *options)
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("| deepfm |"))
    assert len(row.split("|")) == len(done.stdout.splitlines()[0].split("|"))
    assert "| 0 |" in row  # batch norms left
    assert all(float(number) > 0 for number in re.findall(r"\d+\.\d+", row))
    assert _bench("--table-only", *options).stdout == done.stdout


def test_an_unknown_network_is_told(tmp_path):
    done = _bench("--only", "deepfm,vgg", "--results", str(tmp_path))
    assert done.returncode == 2
    assert "--only: there is no network vgg; take from MobileNetV2, " in done.stderr.strip().splitlines()[-1]
