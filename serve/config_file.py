"""The `--model_config_file`: read at the start, again as often as its flag says, and when SIGHUP asks for it."""

import logging
import threading
from collections.abc import Callable, Sequence

from tfs.savedmodel.errors import TfsError
from tfs.serve.config import ModelConfig, parse_model_config
from tfs.serve.text_protos import read_config_text

__all__ = ["ConfigFile"]

_logger = logging.getLogger(__name__)


class ConfigFile:
    """A file with a ModelServerConfig in protobuf's text format, which may change while the server runs.

    Args:
        path: the file.
        wait_seconds: the pause between two looks at it; 0 or less looks only when `look_soon` asks.
    """

    def __init__(self, path: str, wait_seconds: float) -> None:
        self._path = path
        self._wait_seconds = wait_seconds if wait_seconds > 0 else None
        self._in_effect: list[ModelConfig] = []
        self._said = ""
        self._asked = threading.Event()
        self._stopped = False

    def read(self) -> list[ModelConfig]:
        """Return the models that the file names now.

        Raises:
            TfsError: it cannot be read, or does not describe models that can be served.
        """
        text = read_config_text(self._path, "model_config_file")
        return parse_model_config(text, source=self._path)

    def follow(self, in_effect: Sequence[ModelConfig], apply: Callable[[Sequence[ModelConfig]], object]) -> None:
        """From now on hand each changed config to `apply`; what it raises is logged and the old config goes on.

        Args:
            in_effect: what the file said at the start.
            apply: called on a thread of its own.
        """
        self._in_effect = list(in_effect)
        threading.Thread(target=self._run, args=(apply,), name="tfs-config-file", daemon=True).start()

    def look_soon(self) -> None:
        """Apply the file now, or as soon as it is followed; may be called by a signal's handler."""
        self._asked.set()

    def stop(self) -> None:
        """End the looking."""
        self._stopped = True
        self._asked.set()

    def _run(self, apply: Callable[[Sequence[ModelConfig]], object]) -> None:
        while True:
            asked = self._asked.wait(self._wait_seconds)
            if self._stopped:
                return
            self._asked.clear()
            self._look(apply, asked)

    def _look(self, apply: Callable[[Sequence[ModelConfig]], object], asked: bool) -> None:
        try:
            models = self.read()
            # Who asks may want to undo a config that came over gRPC, so the same file is applied again.
            if asked or models != self._in_effect:
                apply(models)
                self._in_effect = models
                _logger.info("`%s` is in effect: %d model(s)", self._path, len(models))
            self._said = ""
        except TfsError as error:
            # Every look finds the same; only what is new is worth a line, unless somebody asked.
            if asked or str(error) != self._said:
                _logger.error("the config stays as it was: %s", error)
            self._said = str(error)
