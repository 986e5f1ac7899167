"""`--grpc_channel_arguments`: gRPC's own names for what the listener here can be told."""

import logging

from tfs.savedmodel.errors import UsageError

__all__ = ["http2_settings"]

_logger = logging.getLogger(__name__)

# Argument of gRPC's core -> argument of `Engine.listen`.
_SETTINGS = {
    "grpc.keepalive_time_ms": "keepalive_time_ms",
    "grpc.keepalive_timeout_ms": "keepalive_timeout_ms",
    "grpc.max_connection_age_ms": "max_connection_age_ms",
    "grpc.max_connection_age_grace_ms": "max_connection_age_grace_ms",
    "grpc.max_concurrent_streams": "max_concurrent_streams",
    "grpc.max_receive_message_length": "max_receive_message_bytes",
}


def http2_settings(text: str) -> dict[str, int]:
    """Return the arguments as `Engine.listen` takes them; those without a meaning here are logged and left out.

    A later one wins over an earlier one. -1, and INT_MAX for times, is "no limit", which is the default here too.

    Raises:
        UsageError: an entry is not key=value, or the value of a known key is no number.
    """
    settings: dict[str, int] = {}
    for entry in filter(None, text.split(",")):
        key, equals, value = entry.partition("=")
        if not equals:
            raise UsageError(f"--grpc_channel_arguments: `{entry}` is not key=value")
        name = _SETTINGS.get(key)
        if name is None:
            _logger.warning("--grpc_channel_arguments: %s has no meaning here and is ignored", key)
            continue
        try:
            number = int(value)
        except ValueError:
            raise UsageError(f"--grpc_channel_arguments: {key} takes a whole number, not `{value}`") from None
        if 0 < number < 2**31 - 1:
            settings[name] = number
        else:
            settings.pop(name, None)
    return settings
