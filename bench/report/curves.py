"""Curves as PNG files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Curve", "draw"]


@dataclass(frozen=True)
class Curve:
    """A pair of axes with one or more lines.

    Attributes:
        x_label, y_label: of the axes, with units.
        lines: points (x, y) of each line by its name.
        logarithmic: both axes; else both begin at 0.
    """

    x_label: str
    y_label: str
    lines: dict[str, tuple[Sequence[float], Sequence[float]]]
    logarithmic: bool = True


def draw(curves: Sequence[Curve], file: Path) -> None:
    """Draw the curves side by side, two in a row."""
    from matplotlib.figure import Figure  # without pyplot nothing looks for a display

    rows = (len(curves) + 1) // 2
    columns = min(len(curves), 2)
    figure = Figure(figsize=(6 * columns, 4 * rows), layout="constrained")
    for index, curve in enumerate(curves):
        axes = figure.add_subplot(rows, columns, index + 1)
        for name, (x, y) in curve.lines.items():
            axes.plot(x, y, marker="o", markersize=3, label=name)
        if curve.logarithmic:
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(curve.x_label)
        axes.set_ylabel(curve.y_label)
        axes.grid(alpha=0.3)
        if len(curve.lines) > 1:
            axes.legend()
    figure.savefig(file, dpi=100, metadata={"Software": None})
