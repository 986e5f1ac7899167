"""Tables and numbers in Markdown that can also be read as it is."""

from collections.abc import Sequence
from statistics import median

__all__ = ["latency", "number", "paragraphs", "rate_range", "table"]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table with columns of equal width."""
    widths = [max(3, *(len(row[column]) for row in [head, *rows])) for column in range(len(head))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


def rate_range(rates: Sequence[float]) -> str:
    """Return the median with the lowest and the highest in brackets."""
    return f"{number(median(rates))} ({number(min(rates))}-{number(max(rates))})"


def number(value: float) -> str:
    """Return a number with three digits that count, or all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def latency(microseconds: float) -> str:
    """Return a latency in us or ms."""
    return f"{microseconds:.0f} us" if microseconds < 1000 else f"{microseconds / 1000:.2f} ms"


def paragraphs(parts: Sequence[str]) -> str:
    """Return the parts with an empty line between."""
    return "\n\n".join(parts) + "\n"
