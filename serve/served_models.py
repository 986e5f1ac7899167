"""The config in effect, and how another one takes its place while the server runs."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.serve.codes import Code
from tfs.serve.config import Change, ConfigError, ModelConfig, models_of, plan_change
from tfs.serve.manager import Manager, StoppedError
from tfs.serve.request_logs import RequestLogs, check_writable
from tfs.serve.source import Source
from tfs.serve.states import VersionStatus

__all__ = ["LoadError", "ServedModels"]


class LoadError(TfsError):
    """A config is in effect, but models in it did not load; `failed` holds the newest version's status of each."""

    def __init__(self, failed: Mapping[str, VersionStatus]) -> None:
        # What tensorflow_model_server says of a start, down to the code, since supervisors look for it.
        super().__init__(f"{Code.UNKNOWN.name}: {_did_not_become_available('servable', failed)}")
        self.failed = failed


class ServedModels:
    """The models that are served.

    Args:
        manager: loads and unloads their versions.
        source: finds their versions.
        request_logs: logs their requests.
        allow_labels_for_unavailable: whether a new label may name a version that is not available.
    """

    def __init__(
        self, manager: Manager, source: Source, request_logs: RequestLogs, *, allow_labels_for_unavailable: bool
    ) -> None:
        self._manager = manager
        self._source = source
        self._request_logs = request_logs
        self._allow_labels_for_unavailable = allow_labels_for_unavailable
        self._models: Sequence[ModelConfig] = ()
        self._replacing = threading.Lock()

    def replace(self, models: Sequence[ModelConfig]) -> Change:
        """Serve these models from now on, and no others; nothing that loads or unloads by that is waited for.

        Raises:
            ConfigError: the config is refused.
            TfsError: a base path cannot be listed. Either way nothing has changed.
        """
        with self._replacing:
            change = plan_change(
                self._models,
                models,
                self._manager.available(),
                allow_labels_for_unavailable=self._allow_labels_for_unavailable,
            )
            check_writable(models)
            self._source.replace(models)
            self._manager.configure({model.name: model.labels for model in models})
            self._models = models
            self._request_logs.replace(models)
            return change

    def wait_for(self, change: Change) -> None:
        """Wait until each added model has an available version, or has none that can be loaded.

        Raises:
            LoadError: some have none; all others are served.
            StoppedError: the server is being stopped.
        """
        failed = self._manager.wait_until_loaded(sorted(change.added))
        if failed:
            raise LoadError(failed)

    def reload(self, request: bytes) -> tuple[int, str]:
        """Answer a serialized `ReloadConfigRequest`: replace the config and wait for the models it adds.

        Returns:
            A canonical status code and tensorflow_model_server's message.
        """
        from google.protobuf.message import DecodeError

        from tfs.savedmodel.protos import load

        message = load("model_management_pb2").ReloadConfigRequest()
        try:
            message.ParseFromString(request)
            self.wait_for(self.replace(_models(message.config)))
        except DecodeError as error:
            return Code.INVALID_ARGUMENT, f"ReloadConfigRequest: {error}"
        except ConfigError as error:
            return error.code, error.message
        except LoadError as error:
            return Code.UNKNOWN, _did_not_become_available("model", error.failed)
        except StoppedError as error:
            return Code.UNAVAILABLE, error.message
        except TfsError as error:
            return Code.FAILED_PRECONDITION, error.message
        return Code.OK, ""


def _models(config: Any) -> list[ModelConfig]:
    if config.WhichOneof("config") != "model_config_list":
        raise ConfigError(
            Code.INVALID_ARGUMENT,
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported",
        )
    return models_of(config.model_config_list)


def _did_not_become_available(what: str, failed: Mapping[str, VersionStatus]) -> str:
    # The punctuation is tensorflow_model_server's.
    entries = [
        f"{{{{name: {name} version: {status.version}}} due to error: "
        f"{Code(status.error_code).name}: {status.error_message}}}, "
        for name, status in failed.items()
    ]
    return f"{len(failed)} {what}(s) did not become available: {{{''.join(entries)}}}"
