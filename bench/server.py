"""`tfs serve` as a process: how long it takes to be ready, how much memory it has."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from loads import pinned
from models import Model

__all__ = ["PREDICT", "Server", "serve"]

PREDICT = "/tensorflow.serving.PredictionService/Predict"
_READY = re.compile(r"ready: grpc=(\S+) rest=(\S+)")


class Server:
    """A server on free ports; a `with` block stops it.

    Args:
        flags: of `tfs serve`, those that say what is served among them.
        cpus: where it runs, as `taskset -c` takes it; None for all.

    Attributes:
        seconds_to_ready: from the start of the process to its `ready:` line.
        grpc_address, rest_address: where it listens.
        log: the lines that it has written to stderr so far.
    """

    def __init__(self, *flags: str, cpus: str | None = None) -> None:
        start = time.monotonic()
        command = [sys.executable, "-m", "tfs.cli", "serve", "--port=-1", "--rest_api_port=-1", *flags]
        self._process = subprocess.Popen(pinned(command, cpus), stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        self.log: list[str] = []
        try:
            self.grpc_address, self.rest_address = self._read_addresses(self._process.stderr)
        except BaseException:
            self._kill()
            raise
        self.seconds_to_ready = time.monotonic() - start
        # The pipe must not fill up while the server runs.
        threading.Thread(target=self.log.extend, args=[self._process.stderr], daemon=True).start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def rest_url(self, model: str) -> str:
        """Where REST requests for the model go."""
        return f"http://{self.rest_address}/v1/models/{model}:predict"

    def resident_mib(self) -> float:
        """Return the memory that the process holds now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def stop(self) -> None:
        """End the process as an orchestrator does.

        Raises:
            RuntimeError: its exit code was not 0.
        """
        self._process.terminate()
        if code := self._process.wait(60):
            raise RuntimeError(f"the server ended with exit code {code}:\n{''.join(self.log[-5:])}")

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self._kill()

    def _read_addresses(self, lines: IO[str]) -> tuple[str, str]:
        for line in lines:
            self.log.append(line)
            if found := _READY.search(line):
                return found[1], found[2]
        raise RuntimeError("the server did not start:\n" + "".join(self.log))

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait(30)


def serve(model: Model, *flags: str, cpus: str | None = None) -> Server:
    """Start a server of one model."""
    return Server(f"--model_name={model.name}", f"--model_base_path={model.base_path}", *flags, cpus=cpus)
