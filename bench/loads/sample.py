"""What one run of a load gives."""

from dataclasses import dataclass, replace
from pathlib import Path
from shutil import which

import numpy as np

_TOOLS = Path(__file__).parents[2] / "build/bench/tools"

__all__ = ["FailedRequestsError", "MissingToolError", "Sample", "closed_loop_sample", "pinned", "require_tool"]


class FailedRequestsError(Exception):
    """Not every request was answered, and answered well: what was measured counts for nothing."""


class MissingToolError(Exception):
    """A load generator is not installed."""


@dataclass(frozen=True)
class Sample:
    """One run: requests per second, and of the latencies median, 99th percentile and mean in microseconds.

    None stands for what was not measured.
    """

    rate: float
    p50: float | None = None
    p99: float | None = None
    mean: float | None = None

    def scaled(self, factor: float) -> "Sample":
        """Return the sample with a rate in another unit: rows, bytes."""
        return replace(self, rate=self.rate * factor)


def closed_loop_sample(start: np.ndarray, latency: np.ndarray) -> Sample:
    """Return the sample of requests that began at `start` and took `latency`, both in microseconds.

    The rate counts until the last reply: a wanted duration may be overrun.
    """
    elapsed = (start + latency).max() - start.min()
    p50, p99 = np.percentile(latency, [50, 99])
    return Sample(float(len(latency) / elapsed * 1e6), float(p50), float(p99), float(latency.mean()))


def pinned(command: list[str], cpus: str | None) -> list[str]:
    """Return the command so that it runs on these CPUs (`0`, `0,1`), or on all if None."""
    return ["taskset", "-c", cpus, *command] if cpus else command


def require_tool(name: str) -> str:
    """Return the path of a load generator, as `make bench-tools` has installed it or the system has it.

    Raises:
        MissingToolError: it is not there.
    """
    if found := which(name, path=str(_TOOLS)) or which(name):
        return found
    raise MissingToolError(f"{name} is not installed; run `make bench-tools`")
