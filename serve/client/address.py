"""Where a server is: REST or gRPC, a port or a unix socket, with TLS or without."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tfs.savedmodel.errors import TfsError, UsageError

__all__ = ["FORMS", "Address", "TlsFiles", "parse_address"]

FORMS = "http://host:8501 and https:// (REST), grpc://host:8500, grpcs:// and unix:/path (gRPC)"
_GRPC_PORT = 8500
_UNIX = "unix:"

# Models take and give tensors of any size.
_GRPC_OPTIONS: list[tuple[str, Any]] = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True)
class TlsFiles:
    """PEM files for TLS; what is None is the system's, or not shown.

    Attributes:
        ca: the authorities that the server's certificate is checked against.
        certificate: the client's own, for servers that ask for one.
        key: belongs to it.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __bool__(self) -> bool:
        return any((self.ca, self.certificate, self.key))


@dataclass(frozen=True)
class Address:
    """A server to ask; made by `parse_address`.

    Attributes:
        url: as it was given, for people.
        target: base URL of REST, or what gRPC calls a target.
        rest: whether it speaks REST, else gRPC.
        secure: whether TLS is spoken.
        files: for TLS.
    """

    url: str
    target: str
    rest: bool
    secure: bool = False
    files: TlsFiles = field(default_factory=TlsFiles)

    def http_arguments(self) -> dict[str, Any]:
        """Return what `httpx.Client` and `httpx.AsyncClient` need to know about TLS.

        Raises:
            TfsError: a file cannot be used.
        """
        if not self.files:
            return {}
        files = self.files
        for file in (files.ca, files.certificate, files.key):
            _read(file)
        try:
            context = ssl.create_default_context(cafile=files.ca)
            if files.certificate:
                context.load_cert_chain(files.certificate, files.key)
        except ssl.SSLError as error:
            names = ", ".join(f"`{file}`" for file in (files.ca, files.certificate, files.key) if file)
            raise TfsError(f"{names} cannot be used for TLS: {error}", "they must be PEM files") from error
        return {"verify": context}

    def channel(self, module: Any) -> Any:
        """Return a channel of the module `grpc` or `grpc.aio`, each with a connection of its own.

        Raises:
            TfsError: a file for TLS cannot be read.
        """
        options = [*_GRPC_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
        if self.target.startswith(_UNIX):
            # Else gRPC would name the socket's path there, which not every server takes for the name of a host.
            options.append(("grpc.default_authority", "localhost"))
        if not self.secure:
            return module.insecure_channel(self.target, options=options)
        import grpc

        files = self.files
        credentials = grpc.ssl_channel_credentials(_read(files.ca), _read(files.key), _read(files.certificate))
        return module.secure_channel(self.target, credentials, options=options)


def parse_address(url: str, files: TlsFiles | None = None) -> Address:
    """Return the server that a URL means.

    Raises:
        UsageError: the URL has another form, or there are files for TLS where none is spoken.
    """
    given = files or TlsFiles()
    parts = urlsplit(url)
    secure = parts.scheme in ("https", "grpcs")
    if given and not secure:
        raise UsageError(f"`{url}` speaks no TLS: --cacert, --cert and --key are for https:// and grpcs://")
    if bool(given.certificate) != bool(given.key):
        raise UsageError("--cert and --key go together")
    if parts.scheme in ("http", "https") and parts.netloc:
        return Address(url, url.rstrip("/"), True, secure, given)
    if parts.scheme in ("grpc", "grpcs") and parts.hostname and parts.path in ("", "/"):
        target = parts.netloc if parts.port else f"{parts.netloc}:{_GRPC_PORT}"
        return Address(url, target, False, secure, given)
    path = url.removeprefix(_UNIX)
    if path != url and path.strip("/"):
        return Address(url, f"{_UNIX}{Path('/' + path.lstrip('/') if path.startswith('/') else path)}", False)
    raise UsageError(f"`{url}` is no address of a server", f"it looks like: {FORMS}")


def _read(file: Path | None) -> bytes | None:
    try:
        return None if file is None else file.read_bytes()
    except OSError as error:
        raise TfsError(f"`{file}` cannot be read: {error.strerror}") from error
