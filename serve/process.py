"""A server as a process: runs until a signal ends it, after the requests under way have been answered."""

import logging
import signal
import time
from types import FrameType
from typing import Any, NoReturn

from tfs.serve.server import Server

__all__ = ["serve_until_terminated"]

_logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Terminated(BaseException):
    """Raised in the main thread by the first signal, wherever it is: loading, waiting for a version, or serving."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


def serve_until_terminated(**flags: Any) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return; a second signal ends the process at once.

    SIGHUP applies the model config file again.

    Must be called on the main thread.

    Args:
        flags: fields of `ServerOptions`.

    Raises:
        UsageError: the flags contradict each other.
        TfsError: the server could not be started.
    """
    server = Server(**flags)
    for number in _SIGNALS:
        signal.signal(number, _terminate)
    signal.signal(signal.SIGHUP, lambda number, frame: server.reload_config_file())
    try:
        server.start()
        while True:
            time.sleep(3600)
    except _Terminated as terminated:
        _logger.info("%s: no new requests; those under way are answered", terminated.signal.name)
        server.stop()
        _logger.info("stopped")


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    raise _Terminated(number)
