"""Samples by table and row, and what is taken from them: medians over the rounds, ratios within a round."""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from loads import Sample

__all__ = ["NotMeasuredError", "Result", "Table"]


class NotMeasuredError(Exception):
    """A row has no samples; the message says why."""


@dataclass
class Table:
    """Rows that took turns.

    Attributes:
        unit: what the rates count, such as `requests/s`.
        rows: the samples of each row, one per round; or why it has none.
    """

    unit: str = "requests/s"
    rows: dict[str, list[Sample] | str] = field(default_factory=dict)

    def samples(self, row: str) -> list[Sample]:
        """Return the samples of a row.

        Raises:
            NotMeasuredError: there are none.
        """
        samples = self.rows.get(row, "no such row")
        if isinstance(samples, str):
            raise NotMeasuredError(samples)
        return samples

    def rate(self, row: str) -> float:
        """Return the median of the rounds' rates."""
        return median(sample.rate for sample in self.samples(row))

    def p50(self, row: str) -> float:
        """Return the median of the rounds' medians of the latency in microseconds."""
        return self._median(row, lambda sample: sample.p50)

    def p99(self, row: str) -> float:
        """Return the median of the rounds' 99th percentiles of the latency in microseconds."""
        return self._median(row, lambda sample: sample.p99)

    def mean(self, row: str) -> float:
        """Return the median of the rounds' means of the latency in microseconds."""
        return self._median(row, lambda sample: sample.mean)

    def ratio(self, above: str, below: str) -> float:
        """Return the median of the rounds' ratios of rates."""
        return self._pairs(above, below, lambda one, other: one.rate / other.rate)

    def p50_ratio(self, above: str, below: str) -> float:
        """Return the median of the rounds' ratios of median latencies."""
        return self._pairs(above, below, lambda one, other: _known(one.p50) / _known(other.p50))

    def p99_ratio(self, above: str, below: str) -> float:
        """Return the median of the rounds' ratios of 99th percentiles."""
        return self._pairs(above, below, lambda one, other: _known(one.p99) / _known(other.p99))

    def added_p50(self, row: str, limit: str) -> float:
        """Return the median of the rounds' differences between two rows' median latencies in microseconds."""
        return self._pairs(row, limit, lambda one, other: _known(one.p50) - _known(other.p50))

    def tail(self, row: str) -> float:
        """Return the median of the rounds' ratios of the 99th percentile to the median latency."""
        return median(_known(sample.p99) / _known(sample.p50) for sample in self.samples(row))

    def _median(self, row: str, value: Callable[[Sample], float | None]) -> float:
        return median(_known(value(sample)) for sample in self.samples(row))

    def _pairs(self, one: str, other: str, value: Callable[[Sample, Sample], float]) -> float:
        return median(value(*pair) for pair in zip(self.samples(one), self.samples(other), strict=True))


@dataclass
class Result:
    """What one section has measured.

    Attributes:
        tables: by title.
        figures: what is no rate: megabytes, seconds, counts; JSON can hold it.
    """

    tables: dict[str, Table] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


def _known(value: float | None) -> float:
    if value is None:
        raise NotMeasuredError("the load generator gives no latency")
    return value
