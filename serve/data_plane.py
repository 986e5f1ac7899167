"""What the manager needs of the engine, as an interface: the scheduler does not depend on how a model is executed."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tfs.savedmodel.errors import TfsError
from tfs.serve.codes import Code

__all__ = ["DataPlane", "Loaded", "VersionError"]


class VersionError(TfsError):
    """A version that cannot be loaded, for a reason that was found before the engine has seen it.

    Args:
        code: what GetModelStatus tells.
        message: see TfsError.
        hint: see TfsError.
    """

    def __init__(self, code: Code, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code


class Loaded(Protocol):
    """What a load took."""

    @property
    def warmup_records(self) -> int:
        """How many warm-up records were replayed."""

    @property
    def execution(self) -> str | None:
        """Which execution plan the version has, and why; None if TensorFlow does not execute it."""


class DataPlane(Protocol):
    """The engine's methods that change what is served; each raises EngineError when it fails (see `_engine.pyi`)."""

    def load(  # noqa: PLR0913  the engine's own signature
        self, model: str, version: int, path: str, *, tags: Sequence[str], warmup: bool, warmup_iterations: int
    ) -> Loaded:
        """Load and warm up a version; blocks, and leaves nothing behind on failure. Requests do not reach it yet.

        May raise VersionError too, or another TfsError, whose code is UNKNOWN.
        """

    def route(self, model: str, versions: Sequence[int], labels: Mapping[str, int]) -> None:
        """Set in one step which loaded versions requests may reach."""

    def publish(self, model: str, states: Sequence[tuple[int, int, int, str]]) -> None:
        """Set what GetModelStatus answers: (version, state, error code, error message), newest first."""

    def unload(self, model: str, version: int) -> None:
        """Wait for the requests that use a version which is no longer routed, then free it; blocks."""
