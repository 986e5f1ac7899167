"""`tfs serve` as a process: how long it takes to be ready, how much memory it has, whether its answers are right."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import grpc
import httpx
import numpy as np
from models import Model

from tfs.savedmodel.protos import load
from tfs.savedmodel.tensors import array_from_proto

__all__ = ["Server", "WrongAnswerError"]

_READY = re.compile(r"ready: grpc=(\S+) rest=(\S+)")


class WrongAnswerError(Exception):
    """The server gave an answer that is not the model's."""


class Server:
    """A server of one model on free ports.

    Attributes:
        model: what it serves.
        seconds_to_ready: from the start of the process to its `ready:` line.
        grpc_address, rest_address: where it listens.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        flags = [
            f"--model_name={model.name}",
            f"--model_base_path={model.base_path}",
            "--port=-1",
            "--rest_api_port=-1",
        ]
        start = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tfs.cli", "serve", *flags], stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        self.grpc_address, self.rest_address = _addresses(self._process.stderr)
        self.seconds_to_ready = time.monotonic() - start
        # The pipe must not fill up while the server runs.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def resident_mib(self) -> float:
        """Return the memory that the process holds now."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def stop(self) -> None:
        """End the process as an orchestrator does.

        Raises:
            RuntimeError: its exit code was not 0.
        """
        self._process.terminate()
        if code := self._process.wait(30):
            raise RuntimeError(f"the server of {self.model.name} ended with exit code {code}")

    def kill(self) -> None:
        """End the process at once, if it still runs."""
        self._process.kill()
        self._process.wait(30)

    def check_answers(self) -> int:
        """Ask once over each protocol and compare with the model's outputs; return the bytes of the gRPC reply.

        Raises:
            WrongAnswerError: an output differs.
        """
        with grpc.insecure_channel(self.grpc_address) as channel:
            stub = load("prediction_service_pb2_grpc").PredictionServiceStub(channel)
            reply = stub.Predict(load("predict_pb2").PredictRequest.FromString(self.model.message), timeout=10)
        self._compare("gRPC", {alias: array_from_proto(proto) for alias, proto in reply.outputs.items()})
        answer = httpx.post(f"http://{self.rest_address}{self.rest_path}", content=self.model.body, timeout=10)
        rows = answer.raise_for_status().json()["predictions"]
        if isinstance(rows[0], dict):
            self._compare("REST", {alias: np.array([row[alias] for row in rows]) for alias in rows[0]})
        else:
            self._compare("REST", {next(iter(self.model.outputs)): np.array(rows)})
        return int(reply.ByteSize())

    @property
    def rest_path(self) -> str:
        """Where REST requests for the model go."""
        return f"/v1/models/{self.model.name}:predict"

    def _compare(self, protocol: str, outputs: dict[str, np.ndarray]) -> None:
        expected = self.model.outputs
        if outputs.keys() != expected.keys():
            raise WrongAnswerError(f"{self.model.name} over {protocol}: outputs {sorted(outputs)}")
        for alias, array in expected.items():
            if not np.allclose(outputs[alias], array, rtol=1e-3, atol=1e-5):
                raise WrongAnswerError(f"{self.model.name} over {protocol}: {alias} is {outputs[alias]}, not {array}")


def _addresses(log: IO[str]) -> tuple[str, str]:
    lines = []
    for line in log:
        lines.append(line)
        if found := _READY.search(line):
            return found[1], found[2]
    raise RuntimeError("the server did not start:\n" + "".join(lines))
