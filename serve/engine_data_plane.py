"""The engine as the manager sees it: each version is loaded as its files and the flags together want it."""

from collections.abc import Mapping, Sequence

from tfs.serve._engine import Engine
from tfs.serve.data_plane import Loaded
from tfs.serve.execution import Execution
from tfs.serve.executor import Executor
from tfs.serve.source import is_tflite

__all__ = ["EngineDataPlane"]


class EngineDataPlane:
    """A data plane that adds to each load the version's batching parameters and what executes it."""

    def __init__(self, engine: Engine, execution: Execution) -> None:
        self._engine = engine
        self._execution = execution

    def load(  # noqa: PLR0913  the engine's own signature
        self, model: str, version: int, path: str, *, tags: Sequence[str], warmup: bool, warmup_iterations: int
    ) -> Loaded:
        """See `DataPlane.load`."""
        batching = self._execution.batching
        return self._engine.load(
            model,
            version,
            path,
            tags=tags,
            warmup=warmup,
            warmup_iterations=warmup_iterations,
            batching=batching.parameters_of(path) if batching else None,
            executor=self._executor(path),
        )

    def route(self, model: str, versions: Sequence[int], labels: Mapping[str, int]) -> None:
        """See `DataPlane.route`."""
        self._engine.route(model, versions, labels)

    def publish(self, model: str, states: Sequence[tuple[int, int, int, str]]) -> None:
        """See `DataPlane.publish`."""
        self._engine.publish(model, states)

    def unload(self, model: str, version: int) -> None:
        """See `DataPlane.unload`."""
        self._engine.unload(model, version)

    def _executor(self, path: str) -> Executor | None:
        """Return what executes the version in `path`; None leaves it to TensorFlow."""
        if not is_tflite(path, self._execution.model_files):
            return None
        from tfs.serve.tflite import TfliteModel

        return TfliteModel(path, self._execution.tflite_interpreters)
