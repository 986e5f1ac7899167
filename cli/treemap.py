"""Rectangles whose areas are sizes: a treemap, squarified as by Bruls, Huizing and van Wijk (2000)."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Rectangle", "squarify"]


@dataclass(frozen=True)
class Rectangle:
    """A part of the plane."""

    left: float
    top: float
    width: float
    height: float


def squarify(sizes: Sequence[float], room: Rectangle) -> list[Rectangle]:
    """Cut `room` into a rectangle for each size, in their order, as close to squares as rows of them get.

    Args:
        sizes: above 0, in descending order.
        room: what is filled without a gap.
    """
    found: list[Rectangle] = []
    rest = list(sizes)
    scale = room.width * room.height / (sum(rest) or 1)
    while rest:
        short = min(room.width, room.height)
        count = 1
        while count < len(rest) and _worst(rest[: count + 1], short, scale) <= _worst(rest[:count], short, scale):
            count += 1
        row, rest = rest[:count], rest[count:]
        placed, room = _place(row, room, scale)
        found += placed
    return found


def _worst(row: Sequence[float], side: float, scale: float) -> float:
    """Return the largest ratio of the sides when the row is laid along a side of this length."""
    total = sum(row) * scale
    if total <= 0 or side <= 0:
        return float("inf")
    return max(side**2 * max(row) * scale / total**2, total**2 / (side**2 * min(row) * scale))


def _place(row: Sequence[float], room: Rectangle, scale: float) -> tuple[list[Rectangle], Rectangle]:
    total = sum(row) * scale
    placed = []
    if room.width >= room.height:
        width, top = (total / room.height if room.height else 0.0), room.top
        for size in row:
            height = size * scale / width if width else 0.0
            placed.append(Rectangle(room.left, top, width, height))
            top += height
        return placed, Rectangle(room.left + width, room.top, max(room.width - width, 0.0), room.height)
    height, left = total / room.width, room.left
    for size in row:
        width = size * scale / height if height else 0.0
        placed.append(Rectangle(left, room.top, width, height))
        left += width
    return placed, Rectangle(room.left, room.top + height, room.width, max(room.height - height, 0.0))
