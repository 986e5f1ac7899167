"""How requests are batched: what the flags and BatchingParameters in text format mean for each version."""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from tfs.savedmodel.errors import TfsError
from tfs.serve.options import ServerOptions
from tfs.serve.text_protos import config_message, parse_text, read_config_text

__all__ = ["BatchingParameters", "BatchingPlan", "batching_of", "batching_plan"]

_logger = logging.getLogger(__name__)

# Where a version has its own parameters, if each has.
_VERSION_FILE = "batching_params.pbtxt"


class BatchingParameters(TypedDict, total=False):
    """The parameters of one version, as the engine takes them; those left out have upstream's defaults."""

    max_batch_size: int
    batch_timeout_micros: int
    max_enqueued_batches: int
    enable_large_batch_splitting: bool
    max_execution_batch_size: int
    allowed_batch_sizes: list[int]
    pad_variable_length_inputs: bool
    adaptive: bool


@dataclass(frozen=True, kw_only=True)
class BatchingPlan:
    """How the requests of a server are batched.

    Args:
        threads: threads that run batches, for all models.
        pool_name: what metrics call these threads.
        parameters: of every version, unless each has its own.
        per_version: whether each version has its own parameters in `batching_params.pbtxt`, or is not batched.
        adaptive: whether nobody waits for others, except where a run is under way anyway.
    """

    threads: int
    pool_name: str
    parameters: BatchingParameters
    per_version: bool = False
    adaptive: bool = False

    def parameters_of(self, directory: str) -> BatchingParameters | None:
        """Return the parameters of the version in `directory`; None if it is not batched.

        Raises:
            TfsError: its file cannot be read.
        """
        if not self.per_version:
            return self._completed(self.parameters)
        path = Path(directory, _VERSION_FILE)
        if not path.exists():
            return None
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TfsError(f"cannot read `{path}`: {error}") from error
        message = config_message("BatchingParameters")
        parse_text(text, message, source=str(path))
        parameters = _parameters(message)
        if self.adaptive:
            _warn_of_timeout(parameters, str(path))
        return self._completed(parameters)

    def _completed(self, parameters: BatchingParameters) -> BatchingParameters:
        return {**parameters, "adaptive": self.adaptive}


def batching_of(options: ServerOptions) -> BatchingPlan | None:
    """Return what the batching flags mean; None if there is no batching.

    Raises:
        TfsError: the parameters cannot be read, or cannot be.
    """
    if not options.enable_batching and not options.adaptive_batching:
        return None
    message = config_message("BatchingParameters")
    if path := options.batching_parameters_file:
        parse_text(read_config_text(path, "batching_parameters_file"), message, source=path)
    plan = batching_plan(message)
    if options.adaptive_batching:
        _warn_of_timeout(plan.parameters, path)
    return replace(plan, per_version=options.enable_per_model_batching_parameters, adaptive=options.adaptive_batching)


def batching_plan(message: Any) -> BatchingPlan:
    """Return what a BatchingParameters message means for all versions.

    Raises:
        TfsError: its values cannot be.
    """
    threads = message.num_batch_threads.value if message.HasField("num_batch_threads") else os.cpu_count() or 1
    if threads < 1:
        raise TfsError(f"INVALID_ARGUMENT: num_batch_threads must be positive; was {threads}")
    parameters = _parameters(message)
    if parameters.get("batch_timeout_micros", 0) < 0:
        micros = parameters["batch_timeout_micros"]
        raise TfsError(f"INVALID_ARGUMENT: batch_timeout_micros must be non-negative; was {micros}")
    name = message.thread_pool_name.value or "batch_threads"
    return BatchingPlan(threads=threads, pool_name=name, parameters=parameters)


def _warn_of_timeout(parameters: BatchingParameters, path: str) -> None:
    if parameters.get("batch_timeout_micros"):
        _logger.warning("`%s`: batch_timeout_micros has no effect with --adaptive_batching", path)


def _parameters(message: Any) -> BatchingParameters:
    parameters = BatchingParameters(
        allowed_batch_sizes=list(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
        enable_large_batch_splitting=message.enable_large_batch_splitting.value,
    )
    # Those that are left out have the engine's defaults, which are upstream's.
    if message.HasField("max_batch_size"):
        parameters["max_batch_size"] = message.max_batch_size.value
    if message.HasField("batch_timeout_micros"):
        parameters["batch_timeout_micros"] = message.batch_timeout_micros.value
    if message.HasField("max_enqueued_batches"):
        parameters["max_enqueued_batches"] = message.max_enqueued_batches.value
    if message.HasField("max_execution_batch_size"):
        parameters["max_execution_batch_size"] = message.max_execution_batch_size.value
    return parameters
