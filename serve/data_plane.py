"""What the manager needs of the engine, as an interface: the scheduler does not depend on how a model is executed."""

from collections.abc import Mapping, Sequence
from typing import Protocol

__all__ = ["DataPlane", "Loaded"]


class Loaded(Protocol):
    """What a load took."""

    @property
    def seconds(self) -> float:
        """From the start of the load to the end of the warm-up."""

    @property
    def warmup_records(self) -> int:
        """How many warm-up records were replayed."""


class DataPlane(Protocol):
    """The engine's methods that change what is served; each raises EngineError when it fails (see `_engine.pyi`)."""

    def load(  # noqa: PLR0913  the engine's own signature
        self, model: str, version: int, path: str, *, tags: Sequence[str], warmup: bool, warmup_iterations: int
    ) -> Loaded:
        """Load and warm up a version; blocks, and leaves nothing behind on failure. Requests do not reach it yet."""

    def route(self, model: str, versions: Sequence[int], labels: Mapping[str, int]) -> None:
        """Set in one step which loaded versions requests may reach."""

    def publish(self, model: str, states: Sequence[tuple[int, int, int, str]]) -> None:
        """Set what GetModelStatus answers: (version, state, error code, error message), newest first."""

    def unload(self, model: str, version: int) -> None:
        """Wait for the requests that use a version which is no longer routed, then free it; blocks."""
