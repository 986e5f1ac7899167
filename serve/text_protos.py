"""Config files in protobuf's text format, and the messages of such files that no installed package carries.

Only the fields' names matter for text: upstream's session_bundle_config.proto, ssl_config.proto and others lose their
numbers.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

from tfs.savedmodel.errors import TfsError

__all__ = ["InvalidProtobufError", "config_message", "parse_text", "read_config_text"]

_WRAPPER = ".google.protobuf."
# message -> field -> type: a scalar, a message's full name, or one of them in a list.
_MESSAGES: dict[str, dict[str, Any]] = {
    "SSLConfig": {"server_key": "string", "server_cert": "string", "custom_ca": "string", "client_verify": "bool"},
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": ".tensorflow.serving.PrometheusConfig"},
    "BatchingParameters": {
        "max_batch_size": f"{_WRAPPER}Int64Value",
        "batch_timeout_micros": f"{_WRAPPER}Int64Value",
        "max_enqueued_batches": f"{_WRAPPER}Int64Value",
        "num_batch_threads": f"{_WRAPPER}Int64Value",
        "thread_pool_name": f"{_WRAPPER}StringValue",
        "allowed_batch_sizes": ["int64"],
        "pad_variable_length_inputs": "bool",
        "enable_large_batch_splitting": f"{_WRAPPER}BoolValue",
        "max_execution_batch_size": f"{_WRAPPER}Int64Value",
    },
    "ModelWarmupOptions": {
        "num_request_iterations": f"{_WRAPPER}Int32Value",
        "num_model_warmup_threads": f"{_WRAPPER}Int32Value",
    },
    "SessionBundleConfig": {
        "session_target": "string",
        "session_config": ".tensorflow.ConfigProto",
        "batching_parameters": ".tensorflow.serving.BatchingParameters",
        "session_run_load_threadpool_index": f"{_WRAPPER}Int32Value",
        "experimental_transient_ram_bytes_during_load": "uint64",
        "saved_model_tags": ["string"],
        "enable_model_warmup": "bool",
        "model_warmup_options": ".tensorflow.serving.ModelWarmupOptions",
        "remove_unused_fields_from_bundle_metagraph": "bool",
        "enable_session_metadata": "bool",
        "wrap_session_with_no_threading_params": "bool",
        "prefer_tflite_model": "bool",
        "num_tflite_pools": "int32",
        "num_tflite_interpreters_per_pool": "int32",
    },
    "ThreadPoolFactoryConfig": {"thread_pool_factory_config": ".google.protobuf.Any"},
    "SavedModelBundleSourceAdapterConfig": {"legacy_config": ".tensorflow.serving.SessionBundleConfig"},
}


class InvalidProtobufError(TfsError):
    """A text that is not of the message it should be; the text of the error is tensorflow_model_server's."""


def read_config_text(path: str, flag: str) -> str:
    """Return the text of a config file.

    Args:
        path: the file.
        flag: the flag that names it, for the error message.

    Raises:
        TfsError: it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise TfsError(f"cannot read --{flag} `{path}`: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TfsError(f"cannot read --{flag} `{path}`: it is no text ({error})") from error


def parse_text(text: str, message: Any, *, source: str) -> None:
    """Fill a message from its text format.

    Args:
        text: the text.
        message: an empty message.
        source: what the error calls the text, as a rule its path.

    Raises:
        InvalidProtobufError: the text cannot be parsed.
    """
    from google.protobuf import text_format

    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        # Scripts look for the words of either half.
        where_and_what = re.sub(r"^(\d+:\d+) :", r"\1:", str(error)).removesuffix(".")
        raise InvalidProtobufError(
            f"Error parsing text-format {message.DESCRIPTOR.full_name}: {where_and_what}; "
            f"INVALID_ARGUMENT: Invalid protobuf file: '{source}'"
        ) from error


def config_message(name: str) -> Any:
    """Return a new, empty message of a type in `tensorflow.serving` that no package carries, as `SSLConfig`."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_file().message_types_by_name[name])()


@cache
def _file() -> Any:
    from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, wrappers_pb2

    from tfs.savedmodel.protos import load

    config_pb2 = load("config_pb2")
    file = descriptor_pb2.FileDescriptorProto(
        name="tfs/serve/text_protos.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[any_pb2.DESCRIPTOR.name, wrappers_pb2.DESCRIPTOR.name, config_pb2.DESCRIPTOR.name],
    )
    scalar = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            label, single = (
                (scalar.LABEL_REPEATED, kind[0]) if isinstance(kind, list) else (scalar.LABEL_OPTIONAL, kind)
            )
            entry = message.field.add(name=field, number=number, label=label)
            if single.startswith("."):
                entry.type, entry.type_name = scalar.TYPE_MESSAGE, single
            else:
                entry.type = getattr(scalar, f"TYPE_{single.upper()}")
    # The default pool, since that is where the text format looks for the type of an Any.
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindFileByName(file.name)
