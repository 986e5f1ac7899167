"""What the page says is taken from the samples, within a round where two rows are compared."""

import json

import pytest
from loads import Sample
from report import NotMeasuredError, Result, Section, Table, at_least, at_most, load_record, render, save_record
from report.curves import Curve, draw
from report.section import Record


def _table():
    slow = [
        Sample(100, p50=10, p99=30, mean=12),
        Sample(300, p50=20, p99=50, mean=22),
        Sample(200, p50=60, p99=70, mean=61),
    ]
    fast = [
        Sample(200, p50=5, p99=10, mean=6),
        Sample(300, p50=30, p99=40, mean=31),
        Sample(800, p50=20, p99=30, mean=21),
    ]
    return Table("rows/s", {"slow": slow, "fast": fast, "gone": "nobody built it"})


def _section(targets=lambda _: []):
    return Section("example", "An example", lambda _: Result({"table": _table()}), "What it is.", targets)


def _page(section, busy=0.0):
    record = Record(section.measure(None), {"Measured": "today"}, busy)
    return render([(section, record)])


def test_a_figure_is_the_median_and_a_ratio_is_taken_within_each_round():
    table = _table()
    assert (table.rate("slow"), table.p50("slow"), table.p99("slow"), table.mean("slow")) == (200, 20, 50, 22)
    assert table.ratio("slow", "fast") == 0.5  # of 0.5, 1 and 0.25
    assert table.p50_ratio("slow", "fast") == 2
    assert table.p99_ratio("slow", "fast") == pytest.approx(7 / 3)
    assert table.added_p50("slow", "fast") == 5
    assert table.tail("slow") == 2.5
    with pytest.raises(NotMeasuredError, match="nobody built it"):
        table.ratio("slow", "gone")


def test_the_page_shows_rows_ranges_and_why_a_row_is_missing():
    lines = _page(_section()).splitlines()
    assert "| slow | 200 (100-300)                 | 20 us | 50 us | 22 us |" in lines
    assert "| gone | not measured: nobody built it |       |       |       |" in lines


def test_a_target_is_met_missed_or_not_measured():
    table = _table()
    targets = [
        at_least("ratio", 0.5, lambda: table.ratio("slow", "fast")),
        at_most("p50", 19, lambda: table.p50("slow"), "{:.0f} us"),
        at_least("gone", 1, lambda: table.rate("gone")),
    ]
    assert [(target.measured, target.verdict) for target in targets] == [
        ("0.50", "met"),
        ("20 us", "MISSED"),
        ("nobody built it", "not measured"),
    ]
    assert "| p50    | 20 us           | MISSED       |" in _page(_section(lambda _: targets)).splitlines()


@pytest.mark.parametrize(("busy", "provisional"), [(0.05, False), (0.7, True)])
def test_figures_of_a_machine_that_others_used_are_called_provisional(busy, provisional):
    assert ("The machine was not quiet" in _page(_section(), busy)) == provisional


def test_a_record_comes_back_as_it_was_kept(tmp_path):
    record = Record(Result({"table": _table()}, {"MiB": [1.5, 2]}), {"Measured": "today"}, 0.01)
    assert load_record(tmp_path / "results", _section()) is None
    save_record(tmp_path / "results", _section(), record)
    assert load_record(tmp_path / "results", _section()) == record
    assert json.loads((tmp_path / "results/example.json").read_text())["busy_before"] == 0.01


def test_a_section_that_was_never_measured_says_how_it_is():
    assert "Not measured yet: `python bench/run.py --only example`." in render([(_section(), None)])


def test_curves_become_a_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib not installed (the extra bench)")
    file = tmp_path / "curves.png"
    points = ([1, 10, 100], [1.0, 20.0, 300.0])
    draw([Curve("x", "y", {"one": points, "other": points}), Curve("x", "y", {"one": points}, logarithmic=False)], file)
    assert file.read_bytes().startswith(b"\x89PNG")
