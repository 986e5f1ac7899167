"""The request logs of the models: checked before a config takes effect, written by the engine."""

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Protocol

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import load
from tfs.serve._engine import EngineError
from tfs.serve.codes import Code
from tfs.serve.config import ConfigError, ModelConfig, RequestLog

__all__ = ["RequestLogs", "check_writable"]

_logger = logging.getLogger(__name__)


class _Engine(Protocol):
    def log_requests(self, models: Mapping[str, tuple[str, float, bytes]], max_bytes: int) -> None: ...


def check_writable(models: Sequence[ModelConfig]) -> None:
    """Refuse models whose request log could not be written.

    Raises:
        ConfigError: no file can be created under a prefix; the message names it.
    """
    for model in models:
        if model.request_log is None:
            continue
        folder, name = os.path.split(model.request_log.prefix)
        try:
            with tempfile.NamedTemporaryFile(prefix=f".{name}.tmp-", dir=folder):
                pass
        except OSError as error:
            raise ConfigError(
                Code.FAILED_PRECONDITION,
                f"The request log `{model.request_log.prefix}` of model {model.name} cannot be written: "
                f"{error.strerror}",
                f"make `{folder}` a directory that the server may write to, or change filename_prefix",
            ) from error


class RequestLogs:
    """What is logged at the moment.

    Args:
        engine: writes the logs.
        max_bytes: what the files of one prefix may take on disk together.
    """

    def __init__(self, engine: _Engine, max_bytes: int) -> None:
        self._engine = engine
        self._max_bytes = max_bytes
        self._logs: dict[str, RequestLog] = {}

    def replace(self, models: Sequence[ModelConfig]) -> None:
        """Log as these models say from now on; versions that are loaded stay as they are.

        Raises:
            TfsError: the log's thread cannot be started.
        """
        logs = {model.name: model.request_log for model in models if model.request_log is not None}
        if logs == self._logs:
            return
        table = {name: (log.prefix, log.sampling_rate, log.sampling_config) for name, log in logs.items()}
        try:
            self._engine.log_requests(table, self._max_bytes)
        except EngineError as error:
            raise TfsError(f"requests cannot be logged: {error.message}") from error
        for name, log in sorted(logs.items()):
            if log != self._logs.get(name):
                _announce(name, log)
        for name in sorted(self._logs.keys() - logs.keys()):
            _logger.info("%s: requests are no longer logged", name)
        self._logs = logs


def _announce(model: str, log: RequestLog) -> None:
    _logger.info("%s: requests are logged to %s.*, %g %% of them", model, log.prefix, 100 * log.sampling_rate)
    config = load("logging_config_pb2").SamplingConfig.FromString(log.sampling_config)
    if config.per_task_sampling_configs:
        _logger.warning("%s: per_task_sampling_configs has no effect: a server here is no task of a job", model)
