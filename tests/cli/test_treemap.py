from hypothesis import given
from hypothesis import strategies as st
from pytest import approx  # noqa: PT013  it reads as a function of numbers

from tfs.cli.treemap import Rectangle, squarify

_ROOM = Rectangle(10, 20, 250, 100)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=60))
def test_areas_are_sizes_and_fill_the_room_without_overlap(sizes):
    sizes.sort(reverse=True)
    placed = squarify(sizes, _ROOM)
    scale = _ROOM.width * _ROOM.height / sum(sizes)
    assert [at.width * at.height for at in placed] == approx([size * scale for size in sizes], rel=1e-6, abs=1e-6)
    for at in placed:
        assert at.left >= _ROOM.left - 1e-6
        assert at.top >= _ROOM.top - 1e-6
        assert at.left + at.width <= _ROOM.left + _ROOM.width + 1e-3
        assert at.top + at.height <= _ROOM.top + _ROOM.height + 1e-3
    for number, one in enumerate(placed):
        for other in placed[:number]:
            wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
            high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
            assert min(wide, high) < 1e-3


def test_equal_sizes_become_nearly_squares():
    placed = squarify([1] * 40, _ROOM)
    assert all(0.4 < at.width / at.height < 2.5 for at in placed)


def test_nothing_fills_nothing():
    assert squarify([], _ROOM) == []
