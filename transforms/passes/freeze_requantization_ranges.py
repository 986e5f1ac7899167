"""Replacing measured ranges of quantized values by constants."""

import re
from collections.abc import Mapping
from pathlib import Path

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, transform
from tfs.transforms.graph_view import GraphView, Tensor

__all__ = ["FreezeRequantizationRanges"]

_RECORD = re.compile(r";([^;]+)__print__;__requant_min_max:\[([^\]]*)\]\[([^\]]*)\]")


@transform
class FreezeRequantizationRanges(GraphPass):
    """`RequantizationRange` -> two `Const`, `<node>/frozen_min` and `<node>/frozen_max`, from what a log has of it.

    The log's lines are `;<node>__print__;__requant_min_max:[<min>][<max>]`, as
    `insert_logging(op=RequantizationRange, show_name=true, message="__requant_min_max:")` prints; others are passed
    over. Of a node's n minima the one at `round(n * min_percentile / 100)` of the sorted list is taken, of its maxima
    the one at `round(n * (1 - max_percentile / 100))`.
    """

    name = "freeze_requantization_ranges"
    summary = "replace ranges of quantized values by constants from a log"
    bodies = False
    arguments = (
        Argument("min_max_log_file", required=True),
        Argument("min_percentile", float),
        Argument("max_percentile", float),
    )
    rounding = 0.05

    def __init__(self, min_max_log_file: str, min_percentile: float = 5.0, max_percentile: float = 5.0) -> None:
        self._file = Path(min_max_log_file)
        self._min_percentile = min_percentile
        self._max_percentile = max_percentile

    def __call__(self, view: GraphView) -> PassResult:
        """Return the graph with the ranges that the log knows made constants."""
        import numpy as np

        edit = GraphEdit(view)
        ranges = self._ranges()
        for name, (low, high) in ranges.items():
            if name not in view.nodes or view.nodes[name].op != "RequantizationRange":
                found = view.nodes[name].op if name in view.nodes else "missing"
                raise TfsError(f"`{self._file}` names `{name}`, which is no RequantizationRange here: {found}")
            for port, (what, value) in enumerate((("frozen_min", low), ("frozen_max", high))):
                constant = edit.constant(f"{name}/{what}", np.array(value, np.float32), view.nodes[name].device)
                edit.redirect(Tensor(name, port), constant)
            edit.redirect_control(name, [])
            edit.drop(name)
        return PassResult(edit.view(), {"ranges frozen": len(ranges)})

    def _ranges(self) -> Mapping[str, tuple[float, float]]:
        seen: dict[str, tuple[list[float], list[float]]] = {}
        try:
            for line in self._file.read_text(encoding="utf-8", errors="replace").splitlines():
                match = _RECORD.search(line)
                if match:
                    lows, highs = seen.setdefault(match.group(1), ([], []))
                    lows.append(float(match.group(2)))
                    highs.append(float(match.group(3)))
        except OSError as error:
            raise TfsError(f"`{self._file}` cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise TfsError(f"`{self._file}` has a range that is no number: {error}") from error
        if not seen:
            raise TfsError(f"`{self._file}` has no line with `__requant_min_max:`")
        return {name: self._range(sorted(lows), sorted(highs)) for name, (lows, highs) in seen.items()}

    def _range(self, lows: list[float], highs: list[float]) -> tuple[float, float]:
        last = len(lows) - 1
        low = min(last, round(len(lows) * self._min_percentile / 100))
        high = min(last, round(len(highs) * (1 - self._max_percentile / 100)))
        return lows[low], highs[high]
