"""The server as a whole: engine, source and manager, started and stopped in the right order."""

import logging
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.serve._engine import Addresses, Engine
from tfs.serve.config import ModelConfig, plan_change
from tfs.serve.config_file import ConfigFile
from tfs.serve.devices import check_devices
from tfs.serve.engine_data_plane import EngineDataPlane
from tfs.serve.execution import Execution, execution_of
from tfs.serve.listening import listen, metrics_path_of, tls_of
from tfs.serve.manager import LoadOptions, Manager
from tfs.serve.options import ExecutionMode, LogFormat, ServerOptions, Transition
from tfs.serve.patience import Patience
from tfs.serve.request_logs import RequestLogs, check_writable
from tfs.serve.served_models import ServedModels
from tfs.serve.source import Source
from tfs.serve.storage import FetchingDataPlane, Storage, base_path_of, is_remote
from tfs.serve.tensorflow_engine import new_engine
from tfs.serve.transition_policy import availability_preserving, resource_preserving

__all__ = ["Server"]

_logger = logging.getLogger(__name__)

# An object store is asked over the network, and wants money for every list call.
_SELDOM_SECONDS = 30

_TRANSITIONS = {
    Transition.AVAILABILITY_PRESERVING: availability_preserving,
    Transition.RESOURCE_PRESERVING: resource_preserving,
}


class Server:
    """A model server in this process: `with Server(model_name="m", model_base_path="/models/m", port=-1) as server:`.

    Entering the block loads every model and then opens the ports; leaving it answers the requests under way and closes
    them. Python's TensorFlow is neither needed nor imported. A server is started once.

    Args:
        flags: fields of `ServerOptions`; those left out have their defaults.

    Raises:
        UsageError: the flags contradict each other.
    """

    def __init__(self, **flags: Any) -> None:
        self._options = ServerOptions(**flags)
        self._addresses: Addresses | None = None
        self._engine: Engine | None = None
        self._manager: Manager | None = None
        self._source: Source | None = None
        self._storage: Storage | None = None
        self._patience: Patience | None = None
        self._config_file: ConfigFile | None = None
        if self._options.model_config_file:
            self._config_file = ConfigFile(
                self._options.model_config_file, self._options.model_config_file_poll_wait_seconds
            )

    @property
    def grpc_address(self) -> str | None:
        """`host:port` of gRPC; None before the start, or if gRPC has only its unix socket."""
        return self._addresses.grpc if self._addresses else None

    @property
    def rest_address(self) -> str | None:
        """`host:port` of REST; None before the start, or if REST is off."""
        return self._addresses.rest if self._addresses else None

    def start(self) -> None:
        """Load all models, wait until a version of each is available, then open the gRPC port and the REST port.

        As long as a model has no version at all this goes on waiting. If it fails nothing is left running.

        Raises:
            TfsError: a base path or config file is missing or wrong, a model could not be loaded in any aspired
                version (after its retries), or a port is taken.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Refuse new requests, give those under way `drain_seconds`, and close the ports."""
        if self._config_file is not None:
            self._config_file.stop()
        if self._manager is not None:
            # First, so that a reload that waits for a model is answered.
            self._manager.stop()
        if self._patience is not None:
            self._patience.stop()
        if self._engine is not None and not self._engine.shutdown(self._options.drain_seconds):
            _logger.warning("requests were still under way after %g s and were cut off", self._options.drain_seconds)
        if self._source is not None:
            self._source.stop()
        if self._storage is not None:
            self._storage.close()
        self._engine = self._patience = self._manager = self._source = self._storage = None

    def reload_config_file(self) -> None:
        """Apply the model config file again, at once or as soon as the server is up; returns before that is done.

        May be called by a signal's handler. What is wrong with the file is logged, and the old config stays.
        """
        if self._config_file is None:
            _logger.warning("there is no --model_config_file to read again")
        else:
            self._config_file.look_soon()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        started = time.monotonic()
        options = self._options
        models = self._config_file.read() if self._config_file else [_single_model(options)]
        execution, tls, metrics_path = execution_of(options), tls_of(options), metrics_path_of(options)
        self._storage = storage = Storage(options.remote_cache_path, execution.model_files)
        self._check_first_config(models, storage)
        for line in options.without_effect():
            _logger.warning("%s", line)
        self._engine = new_engine(execution, quiet=options.log_format == LogFormat.JSON)
        check_devices(self._engine.tensorflow_version, self._engine.devices, options)
        data_plane = FetchingDataPlane(EngineDataPlane(self._engine, execution), storage)
        self._manager = Manager(data_plane, _load_options(options, execution))
        self._source = Source(storage.find, self._manager.set_aspired, options.file_system_poll_wait_seconds)
        served = ServedModels(
            self._manager,
            self._source,
            RequestLogs(self._engine, options.request_log_max_bytes),
            allow_labels_for_unavailable=options.allow_version_labels_for_unavailable_models,
        )
        change = served.replace(models)
        self._source.start()
        self._manager.start()
        served.wait_for(change)
        self._manager.end_first_load()
        if options.execution != ExecutionMode.DEFAULT:
            self._patience = Patience(self._engine)
            self._patience.start()
        self._addresses = listen(self._engine, options, tls, metrics_path, served)
        if self._config_file:
            self._config_file.follow(models, served.replace)
        _logger.info(
            "ready: grpc=%s rest=%s after %.2f s",
            self.grpc_address or f"unix:{options.grpc_socket_path}",
            self.rest_address or "off",
            time.monotonic() - started,
        )

    def _check_first_config(self, models: Sequence[ModelConfig], storage: Storage) -> None:
        """Tell what is wrong with the models before TensorFlow's library has been loaded."""
        options = self._options
        allow = options.allow_version_labels_for_unavailable_models
        plan_change([], models, {}, allow_labels_for_unavailable=allow)
        check_writable(models)
        wait_seconds = options.file_system_poll_wait_seconds
        for model in models if wait_seconds >= 0 else ():
            if is_remote(model.base_path) and wait_seconds > 0:
                # One list call is enough: the source's.
                if wait_seconds < _SELDOM_SECONDS:
                    _logger.info(
                        "`%s` is listed every %d s; --file_system_poll_wait_seconds=300 asks less often",
                        model.base_path,
                        wait_seconds,
                    )
                continue
            found = storage.find(model)
            if wait_seconds == 0 and not model.version_policy.aspired(found.paths.keys()):
                raise TfsError(
                    f"model `{model.name}` has no version to serve in `{model.base_path}`",
                    "--file_system_poll_wait_seconds=0 looks only once; a version is a directory such as "
                    "1/saved_model.pb",
                )


def _single_model(options: ServerOptions) -> ModelConfig:
    return ModelConfig(options.model_name, base_path_of(options.model_base_path))


def _load_options(options: ServerOptions, execution: Execution) -> LoadOptions:
    return LoadOptions(
        transition=_TRANSITIONS[options.version_transition],
        tags=execution.tags,
        warmup=execution.warmup,
        warmup_iterations=execution.warmup_iterations,
        max_retries=max(options.max_num_load_retries, 0),
        retry_seconds=max(options.load_retry_interval_micros, 0) / 1e6,
        load_threads=options.num_load_threads,
        unload_threads=options.num_unload_threads,
    )
