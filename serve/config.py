"""What is to be served: the models of a ModelServerConfig, and which change from one to the next is allowed.

The codes and texts of a refusal are tensorflow_model_server's.
"""

import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.serve.codes import Code
from tfs.serve.text_protos import parse_text
from tfs.serve.version_policy import AllVersions, LatestVersions, SpecificVersions, VersionPolicy

__all__ = ["Change", "ConfigError", "ModelConfig", "RequestLog", "models_of", "parse_model_config", "plan_change"]

_PLATFORM = "tensorflow"
_FILE_COLLECTOR = "file"  # what a LogCollectorConfig may call the files; it may also say nothing
_TENSORFLOW_TYPE = 1  # ModelType.TENSORFLOW, the deprecated way to name the platform
_TYPE_FIELD, _PLATFORM_FIELD = "ModelServerConfig::model_type (deprecated)", "ModelServerConfig::model_platform"


class ConfigError(TfsError):
    """A config that is refused; whatever was served before still is.

    Args:
        code: what a client is told.
        message: tensorflow_model_server's text.
        hint: what to do about it.
    """

    def __init__(self, code: Code, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code


@dataclass(frozen=True)
class RequestLog:
    """Which requests to a model are logged, and where.

    Args:
        prefix: absolute; the name of every file begins so.
        sampling_rate: the part of the requests that is logged, 0 to 1.
        sampling_config: the serialized `SamplingConfig`, as it stands in each record.
    """

    prefix: str
    sampling_rate: float
    sampling_config: bytes


@dataclass(frozen=True)
class ModelConfig:
    """One model: where its versions lie, which of them are served, and what they are called.

    Args:
        name: what requests call it.
        base_path: absolute path or URL of the directory with the versions.
        version_policy: which of the versions found are served.
        labels: label -> version.
        platform: what executes it.
        request_log: None if no requests are logged.
    """

    name: str
    base_path: str
    version_policy: VersionPolicy = field(default_factory=LatestVersions)
    labels: Mapping[str, int] = field(default_factory=dict)
    platform: str = _PLATFORM
    request_log: RequestLog | None = None


@dataclass(frozen=True)
class Change:
    """What a new config does: the names of the models that begin and of those that end; all others go on."""

    added: frozenset[str]
    removed: frozenset[str]


def parse_model_config(text: str, *, source: str) -> list[ModelConfig]:
    """Return the models of a `ModelServerConfig` in protobuf's text format.

    Args:
        text: the text of the config.
        source: what error messages call it, as a rule its path.

    Raises:
        InvalidProtobufError: the text cannot be parsed.
        ConfigError: a model in it is incomplete or doubly named.
    """
    from tfs.savedmodel.protos import load

    config = load("model_server_config_pb2").ModelServerConfig()
    parse_text(text, config, source=source)
    if config.WhichOneof("config") != "model_config_list":
        raise ConfigError(
            Code.INVALID_ARGUMENT,
            f"`{source}` has no model_config_list",
            'write model_config_list { config { name: "m" ... } }',
        )
    try:
        return models_of(config.model_config_list)
    except ConfigError as error:
        raise ConfigError(error.code, f"`{source}`: {error.message}", error.hint) from error


def models_of(config_list: Any) -> list[ModelConfig]:
    """Return the models of a `ModelConfigList` message.

    Raises:
        ConfigError: a model in it is incomplete, or named more than once.
    """
    names = [entry.name for entry in config_list.config]
    for name in names:
        if names.count(name) > 1:
            raise _invalid(f"Illegal to list model {name} multiple times in config list", "give each its own name")
    return [_model(entry) for entry in config_list.config]


def _model(entry: Any) -> ModelConfig:
    name = entry.name
    if not name:
        raise _invalid("a model of the config has no name", 'add name: "..." to its config')
    if not os.path.isabs(entry.base_path) and "://" not in entry.base_path:
        raise _invalid(
            f"Expected model {name} to have an absolute path or URI; got base_path()={entry.base_path}",
            "it is the directory that holds the versions",
        )
    policy, labels = _version_policy(entry.model_version_policy), dict(sorted(entry.version_labels.items()))
    log = _request_log(name, entry.logging_config) if entry.HasField("logging_config") else None
    return ModelConfig(name, entry.base_path, policy, labels, _platform(entry), log)


def _request_log(model: str, config: Any) -> RequestLog:
    collector, sampling = config.log_collector_config, config.sampling_config
    if config.HasField("custom_logging_config"):
        raise _invalid(f"Model {model} has a custom_logging_config", "write log_collector_config and sampling_config")
    if collector.type not in ("", _FILE_COLLECTOR):
        raise _invalid(
            f"There is no log collector of type `{collector.type}` for model {model}",
            f'the only one is type: "{_FILE_COLLECTOR}"',
        )
    if not collector.filename_prefix or collector.filename_prefix.endswith("/"):
        raise _invalid(
            f"The filename_prefix `{collector.filename_prefix}` of model {model} names no file",
            'write log_collector_config { filename_prefix: "/var/log/tfs/requests" }',
        )
    if not 0 <= sampling.sampling_rate <= 1:
        raise _invalid(f"The sampling_rate {sampling.sampling_rate:g} of model {model} is not between 0 and 1")
    prefix = os.path.abspath(collector.filename_prefix)
    return RequestLog(prefix, sampling.sampling_rate, sampling.SerializeToString(deterministic=True))


def _platform(entry: Any) -> str:
    hint = f'write model_platform: "{_PLATFORM}" for model `{entry.name}`'
    if entry.model_type and entry.model_platform:
        raise _invalid(f"Illegal setting both {_TYPE_FIELD} and {_PLATFORM_FIELD}.", hint)
    if entry.model_type:
        if entry.model_type != _TENSORFLOW_TYPE:
            raise _invalid(f"ModelServerConfig::model_type choice {entry.model_type} not supported.", hint)
        return _PLATFORM
    if not entry.model_platform:
        raise _invalid(f"Illegal setting neither {_TYPE_FIELD} nor {_PLATFORM_FIELD}.", hint)
    return str(entry.model_platform)


def _version_policy(policy: Any) -> VersionPolicy:
    match policy.WhichOneof("policy_choice"):
        case "all":
            return AllVersions()
        case "specific":
            return SpecificVersions(frozenset(policy.specific.versions))
        case _:
            return LatestVersions(max(policy.latest.num_versions, 1))


def plan_change(
    old: Sequence[ModelConfig],
    new: Sequence[ModelConfig],
    available: Mapping[str, AbstractSet[int]],
    *,
    allow_labels_for_unavailable: bool,
) -> Change:
    """Say what replacing `old` by `new` changes; the first config replaces an empty one.

    1. A model keeps its platform, and a new one has a platform that is served here.
    2. A label names a version that is available now.
    3. With `allow_labels_for_unavailable` a new label may name any version; one that exists still moves only to a
       version that is available.

    Args:
        old: the config in effect.
        new: the one that is to replace it.
        available: model -> the versions that requests reach now.
        allow_labels_for_unavailable: see 3.

    Raises:
        ConfigError: the change is refused as a whole.
    """
    before = {model.name: model for model in old}
    for model in new:
        _check_platform(before.get(model.name), model)
    for model in new:
        known = before[model.name].labels if model.name in before else {}
        for label, version in model.labels.items():
            is_move = known.get(label, version) != version
            if version not in available.get(model.name, ()) and (is_move or not allow_labels_for_unavailable):
                raise _unavailable(model.name, version, is_move)
    names = {model.name for model in new}
    return Change(frozenset(names - before.keys()), frozenset(before.keys() - names))


def _check_platform(before: ModelConfig | None, model: ModelConfig) -> None:
    if before is not None and before.platform != model.platform:
        raise _invalid(
            f"Illegal to change a model's platform. For model {model.name} platform was {before.platform} and new "
            f"platform requested is {model.platform}"
        )
    if model.platform != _PLATFORM:
        raise _invalid(
            f"Model {model.name} requests unsupported platform {model.platform}", f'write model_platform: "{_PLATFORM}"'
        )


def _unavailable(model: str, version: int, is_move: bool) -> ConfigError:
    flag = "" if is_move else ", or start the server with --allow_version_labels_for_unavailable_models"
    return ConfigError(
        Code.FAILED_PRECONDITION,
        f"Request to assign label to version {version} of model {model}, which is not currently available for "
        "inference",
        f"wait until it is AVAILABLE{flag}",
    )


def _invalid(message: str, hint: str = "") -> ConfigError:
    return ConfigError(Code.INVALID_ARGUMENT, message, hint)
