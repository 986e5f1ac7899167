"""What a load is: who is asked what, for how long, by how many at a time or how often."""

from dataclasses import dataclass

from tfs.serve.client.address import Address
from tfs.serve.client.request import Method

__all__ = ["Load", "Share", "Step", "shares_of"]


@dataclass(frozen=True)
class Step:
    """One measurement; one of these is there.

    Attributes:
        concurrency: closed loop: so many requests are under way at any time.
        rate: open loop: requests that become due per second, whether those before are answered or not.
    """

    concurrency: int | None = None
    rate: float | None = None

    @property
    def title(self) -> str:
        """The load for people."""
        return f"{self.concurrency} at a time" if self.rate is None else f"{self.rate:g}/s"


@dataclass(frozen=True)
class Load:
    """What all steps have in common.

    Attributes:
        address: the server.
        method: that is called.
        path: of the REST API.
        payloads: serialized messages of gRPC or bodies of REST, sent in turn.
        warmup_seconds: the load begins so long before anything counts.
        seconds: for how long requests that count begin.
        connections: of each process, that share the requests; REST has one for each request under way.
        timeout_seconds: how long a request may take; gRPC tells the server.
    """

    address: Address
    method: Method
    path: str
    payloads: tuple[bytes, ...]
    warmup_seconds: float
    seconds: float
    connections: int
    timeout_seconds: float


@dataclass(frozen=True)
class Share:
    """What one process does of a step.

    Attributes:
        step: with this process's part of the concurrency, or its part of the rate.
        offset: seconds by which its schedule is later than the first one's.
    """

    step: Step
    offset: float = 0.0


def shares_of(step: Step, processes: int) -> list[Share]:
    """Spread a step over processes, so that together they do the same as one would; fewer than asked for if enough."""
    if step.rate is not None:
        return [Share(Step(rate=step.rate / processes), number / step.rate) for number in range(processes)]
    whole = step.concurrency or 1
    parts = [whole // processes + (number < whole % processes) for number in range(processes)]
    return [Share(Step(concurrency=part)) for part in parts if part]
