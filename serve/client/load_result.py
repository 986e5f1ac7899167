"""What a load has measured: requests per second, latencies, failures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfs.serve.client.load_plan import Step
from tfs.serve.client.load_worker import Failure

__all__ = ["StepResult", "headline", "step_result"]

_QUANTILES = (0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99)
_KEPT_UP = 0.95  # of the rate that was asked for

# An event loop that is busy for more than this part of the time makes its requests wait for it.
_SATURATED = 0.9


@dataclass(frozen=True)
class StepResult:
    """One step; latencies in milliseconds, of the requests that were answered well.

    Attributes:
        step: the load.
        seconds: from the begin of what counts until the last answer.
        requests: how many were answered well.
        failures: of the others by code.
        throughput: requests that were answered well, per second.
        percentiles: latencies by percentile (50 is the median); those for which there were too few requests are absent.
        mean: of the latencies; None without any.
        largest: the slowest.
        generator_busy: the part of the time for which the busiest process of the load generator computed, or waited for
            a processor to do so; None if the load needs no such process.
    """

    step: Step
    seconds: float
    requests: int
    failures: dict[str, Failure]
    throughput: float
    percentiles: dict[float, float]
    mean: float | None
    largest: float | None
    generator_busy: float | None

    @property
    def saturated(self) -> bool:
        """Whether the load generator and not the server set the limit."""
        return self.generator_busy is not None and self.generator_busy > _SATURATED

    @property
    def kept_up(self) -> bool:
        """Whether all requests were answered well, and those of a schedule as fast as they became due."""
        in_time = self.step.rate is None or self.throughput >= _KEPT_UP * self.step.rate
        return in_time and not self.failures and self.requests > 0

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        p50, p90, p99, p999 = (self.percentiles.get(quantile) for quantile in (50, 90, 99, 99.9))
        return {
            "concurrency": self.step.concurrency,
            "rate": self.step.rate,
            "throughput": self.throughput,
            "p50_ms": p50,
            "p90_ms": p90,
            "p99_ms": p99,
            "p99_9_ms": p999,
            "mean_ms": self.mean,
            "max_ms": self.largest,
            "requests": self.requests,
            "seconds": self.seconds,
            "errors": {code: {"count": found.count, "message": found.message} for code, found in self.failures.items()},
            "generator_busy": self.generator_busy,
            "saturated": self.saturated,
        }


def step_result(
    step: Step, seconds: float, latencies: np.ndarray, failures: dict[str, Failure], generator_busy: float | None
) -> StepResult:
    """Sum a step up.

    Args:
        step: the load.
        seconds: from the begin of what counts until the last answer.
        latencies: in seconds, float64 [requests answered well].
        failures: of the others by code.
        generator_busy: see `StepResult`.
    """
    milliseconds = np.asarray(latencies) * 1e3
    known = [quantile for quantile in _QUANTILES if _enough(quantile, len(milliseconds))]
    values = np.percentile(milliseconds, known) if known else ()
    some = len(milliseconds) > 0
    return StepResult(
        step=step,
        seconds=seconds,
        requests=len(milliseconds),
        failures=failures,
        throughput=len(milliseconds) / seconds,
        percentiles={quantile: float(value) for quantile, value in zip(known, values, strict=True)},
        mean=float(milliseconds.mean()) if some else None,
        largest=float(milliseconds.max()) if some else None,
        generator_busy=generator_busy,
    )


def _enough(quantile: float, count: int) -> bool:
    """Tell whether a percentile is more than the slowest request under another name: one request lies beyond it."""
    return count > 0 and (quantile <= 50 or round(count * (100 - quantile), 6) >= 100)


def headline(results: Sequence[StepResult]) -> StepResult:
    """Return the step that a person wants first.

    Of a sweep of concurrencies the one with the most requests per second; of rates the highest that was kept up with,
    else the one with the most requests per second.
    """
    kept_up = [result for result in results if result.step.rate is not None and result.kept_up]
    return max(kept_up or results, key=lambda result: result.throughput)
