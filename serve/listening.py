"""Where the server listens, and how: what the network flags make of the engine's listeners."""

import logging
import os

from tfs.savedmodel.errors import TfsError
from tfs.serve._engine import Addresses, Engine, EngineError
from tfs.serve.channel_arguments import http2_settings
from tfs.serve.codes import Code
from tfs.serve.descriptors import service_descriptors
from tfs.serve.options import LogFormat, ServerOptions
from tfs.serve.served_models import ServedModels
from tfs.serve.text_protos import config_message, parse_text, read_config_text

__all__ = ["Tls", "listen", "metrics_path_of", "tls_of"]

_logger = logging.getLogger(__name__)

# Upstream's own default.
_METRICS_PATH = "/monitoring/prometheus/metrics"

_OTHER_ADDRESS = "choose another one with --host, --port, --rest_api_port or --grpc_socket_path"

# Server key, server certificate, the clients' authority, whether a client must show a certificate.
Tls = tuple[str, str, str | None, bool]


def tls_of(options: ServerOptions) -> Tls | None:
    """Return what `--ssl_config_file` says, in PEM texts, or None without it.

    Raises:
        TfsError: the file cannot be read, or has no key or certificate.
    """
    path = options.ssl_config_file
    if not path:
        return None
    config = config_message("SSLConfig")
    parse_text(read_config_text(path, "ssl_config_file"), config, source=path)
    for field in ("server_key", "server_cert"):
        if not getattr(config, field):
            raise TfsError(f"`{path}` has no {field}", "it holds the PEM text itself, not the name of a file")
    return config.server_key, config.server_cert, config.custom_ca or None, config.client_verify


def metrics_path_of(options: ServerOptions) -> str | None:
    """Return the path under which REST shows metrics, or None where `--monitoring_config_file` does not ask for them.

    Raises:
        TfsError: the file cannot be read, or its path does not begin with a slash.
    """
    file = options.monitoring_config_file
    if not file:
        return None
    config = config_message("MonitoringConfig")
    parse_text(read_config_text(file, "monitoring_config_file"), config, source=file)
    if not config.prometheus_config.enable:
        return None
    path: str = config.prometheus_config.path or _METRICS_PATH
    if not path.startswith("/"):
        raise TfsError(f"`{file}`: the path `{path}` does not begin with a slash")
    return path


def listen(
    engine: Engine, options: ServerOptions, tls: Tls | None, metrics_path: str | None, served: ServedModels
) -> Addresses:
    """Open the ports.

    Raises:
        TfsError: one of them cannot be opened, or the TLS key or certificate cannot be used.
    """
    rest_port = options.rest_api_port
    if rest_port == options.port and rest_port > 0:
        _logger.error("--rest_api_port is the same as --port: REST is off")
        rest_port = 0
    try:
        return engine.listen(
            grpc=_address(options.host, options.port),
            rest=_address(options.host, rest_port),
            grpc_socket=os.path.abspath(options.grpc_socket_path) if options.grpc_socket_path else None,
            tls=tls,
            rest_timeout_ms=options.rest_api_timeout_in_ms,
            check_method_name=options.enable_signature_method_name_check,
            tensor_content=options.enable_serialization_as_tensor_content,
            cors=options.rest_api_enable_cors_support,
            metrics_path=metrics_path,
            access_log=options.log_format == LogFormat.JSON,
            http2=http2_settings(options.grpc_channel_arguments),
            reload_config=served.reload,
            descriptors=service_descriptors,
        )
    except EngineError as error:
        # The message names the protocol and the address, or the mistake in the keys.
        hint = _OTHER_ADDRESS if error.code == Code.UNAVAILABLE else f"mend `{options.ssl_config_file}`"
        raise TfsError(error.message, hint) from error


def _address(host: str, port: int) -> str | None:
    """Return `host:port` for the engine, where 0 is a free port, and None if the protocol is off."""
    if port == 0:
        return None
    literal = f"[{host}]" if ":" in host else host
    return f"{literal}:{max(port, 0)}"
