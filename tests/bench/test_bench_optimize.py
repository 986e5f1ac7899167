import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from optimize_record import NetworkRecord, save_network
from optimized_networks import NETWORKS
from report import load_record, render
from sections.optimize import OPTIMIZE

_ROOT = Path(__file__).parents[2]


def _bench(*options):
    command = [sys.executable, "bench/optimize.py", *options]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=170)


def test_a_network_is_measured_kept_and_told_on_the_page(tmp_path):
    options = ["--results", str(tmp_path)]
    done = _bench("--only", "deepfm", "--seconds", "0.1", "--batch-sizes", "2", *options)
    assert done.returncode == 0, done.stderr
    titles, _, row = ([cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines())
    measured = dict(zip(titles, row, strict=True))
    assert measured["network"] == "deepfm"
    assert measured["batch norms left"] == "0"
    assert all(float(number) > 0 for number in re.findall(r"\d+\.\d+", " ".join(row)))
    assert _bench("--table-only", *options).stdout == done.stdout

    record = load_record(tmp_path, OPTIMIZE)
    assert record.about["Measured"].endswith("UTC by `python bench/optimize.py`, network by network")
    page = render([(OPTIMIZE, record)])
    assert done.stdout.strip() in page
    assert "Not measured yet: MobileNetV2, " in page
    assert "MobileNetV2 was not measured" in page
    assert load_record(tmp_path / "nothing", OPTIMIZE) is None


def _record(**changes):
    record = NetworkRecord(
        nodes=(300, 200, 80),
        stored=(1000, 400),
        left=0,
        error=1e-6,
        seconds=2.0,
        written_peak=3.0,
        peak=3.5,
        milliseconds={"1": (2.0, 1.6, 1.5)},
        ratios={"1": (0.8, 0.95)},
        about={"Measured": "2026-11-21 10:00 UTC by `x`"},
        busy_before=0.0,
    )
    return replace(record, **changes)


def test_the_numbers_to_reach_are_taken_from_the_worst_network(tmp_path):
    for name in NETWORKS:
        save_network(tmp_path, name, _record())
    assert {target.verdict for target in _targets(tmp_path)} == {"met"}
    save_network(tmp_path, "deepfm", _record(left=1, error=2e-4, ratios={"1": (0.8, 0.95), "8": (1.1, 1.03)}))
    save_network(tmp_path, "ssd", _record(nodes=(300, 200, 100), stored=(1000, 500)))
    save_network(tmp_path, "constants", _record(seconds=11.0, peak=4.1, ratios={"1": (3.0, 3.0)}))
    measured = {target.measured: target.verdict for target in _targets(tmp_path)}
    missed = ["1", "0.50", "2.0e-04", "1.10", "1.03", "11.0 s", "4.10"]
    assert measured == dict.fromkeys(missed, "MISSED") | {"7": "met"}  # of 8 networks, all but DeepFM


def _targets(results):
    return OPTIMIZE.targets(load_record(results, OPTIMIZE).result)


def test_an_unknown_network_is_told(tmp_path):
    done = _bench("--only", "deepfm,vgg", "--results", str(tmp_path))
    assert done.returncode == 2
    assert "--only: there is no network vgg; take from MobileNetV2, " in done.stderr.strip().splitlines()[-1]
