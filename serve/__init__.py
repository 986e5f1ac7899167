"""The server: a Python control plane that decides what is served, around a Rust engine that serves it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfs.serve.server import Server

__all__ = ["Server"]


def __getattr__(name: str) -> Any:
    # On first use: `tfs --help` reads the flags in tfs.serve.options and must not pay for the engine.
    if name != "Server":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tfs.serve.server import Server

    return Server
