"""A real `tfs serve` in a process of its own, and stock clients for it; the models it serves in tests."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import httpx

from tfs.savedmodel import protos

# The states as GetModelStatus numbers them.
AVAILABLE, UNLOADING, END = 30, 40, 50

# As a shell has it: other tests of the same process turn TensorFlow's log down for themselves.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}

_READY = re.compile(r"ready: grpc=(?P<grpc>\S+) rest=(?P<rest>\S+) after")


@dataclass(frozen=True)
class Models:
    """SavedModels with one signature x -> y, both float32 of shape [None]."""

    half_plus_two: Path
    half_plus_three: Path
    slow: Path
    layers: Path
    compiled: Path
    counter: Path
    picky: Path
    endless: Path
    wide: Path


class RunningServer:
    """`tfs serve --port=-1 --rest_api_port=-1 *flags`; its stderr is read all the time.

    Later flags win, so `--rest_api_port=0` among them turns REST off. As a context manager it is ready inside, and ends
    with exit code 0 after SIGTERM. Another `python` brings another TensorFlow.
    """

    def __init__(self, *flags: str, environment: Mapping[str, str] | None = None, python: str = sys.executable) -> None:
        command = [python, "-m", "tfs.cli", "serve", "--port=-1", "--rest_api_port=-1", *flags]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**_ENVIRONMENT, **(environment or {})},
        )
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.grpc_address = self.rest_address = ""
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> "RunningServer":
        try:
            return self.wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                assert self.stop() == 0, self.log
        finally:
            self.kill()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def wait_for_line(self, pattern: str, timeout: float = 30) -> re.Match[str]:
        """Wait for a line of the log in which `pattern` is found."""
        found: list[re.Match[str]] = []

        def seen() -> bool:
            found.extend(match for line in self.lines if (match := re.search(pattern, line)))
            return bool(found) or self._ended

        with self._more:
            self._more.wait_for(seen, timeout)
        assert found, f"no line with {pattern!r} in:\n{self.log}"
        return found[0]

    def wait_until_ready(self) -> "RunningServer":
        match = self.wait_for_line(_READY.pattern)
        self.grpc_address, self.rest_address = match["grpc"], match["rest"]
        return self

    def stop(self) -> int:
        """Send SIGTERM, as an orchestrator does, and return the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.exit_code()

    def kill(self) -> None:
        """End the process if it still runs, and close what belongs to it."""
        self.process.kill()
        self.exit_code()

    def exit_code(self, timeout: float = 30) -> int:
        """Wait for the end of the process; may be called again."""
        if self.process.poll() is None:
            self.process.wait(timeout)
        self._reader.join(timeout)
        if self._channel is not None:
            self._channel.close()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        if not self.process.stdout.closed:
            assert self.process.stdout.read() == "", "stdout is for results, and a server has none"
            self.process.stdout.close()
            self.process.stderr.close()
        return self.process.returncode

    # Clients.

    @property
    def channel(self) -> grpc.Channel:
        if self._channel is None:
            self._channel = grpc.insecure_channel(self.grpc_address)
        return self._channel

    def predict(
        self, model: str, x: float, *, version: int | None = None, label: str | None = None, timeout: float = 30
    ) -> tuple[int, float]:
        """Return the version that answered and its one output `y` for one input `x`, over gRPC."""
        predict_pb2 = protos.load("predict_pb2")
        tensor = protos.load("tensor_pb2").TensorProto(dtype=1, float_val=[x])
        tensor.tensor_shape.dim.add(size=1)
        request = predict_pb2.PredictRequest(inputs={"x": tensor})
        request.model_spec.name = model
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        stub = protos.load("prediction_service_pb2_grpc").PredictionServiceStub(self.channel)
        reply = stub.Predict(request, timeout=timeout)
        return reply.model_spec.version.value, reply.outputs["y"].float_val[0]

    def rest_predict(self, model: str, x: float, timeout: float = 30) -> httpx.Response:
        return httpx.post(
            f"http://{self.rest_address}/v1/models/{model}:predict", json={"instances": [x]}, timeout=timeout
        )

    def reload(self, config: str, *, metric_names: Sequence[str] = (), timeout: float = 30) -> Any:
        """Call HandleReloadConfigRequest with a ModelServerConfig in text format."""
        from google.protobuf import text_format

        message = text_format.Parse(config, protos.load("model_server_config_pb2").ModelServerConfig())
        request = protos.load("model_management_pb2").ReloadConfigRequest(config=message, metric_names=metric_names)
        stub = protos.load("model_service_pb2_grpc").ModelServiceStub(self.channel)
        return stub.HandleReloadConfigRequest(request, timeout=timeout)

    def reload_refusal(self, config: str) -> tuple[str, str]:
        """Return code and message with which HandleReloadConfigRequest fails."""
        try:
            self.reload(config)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        raise AssertionError("the config was accepted")

    def status(self, model: str) -> list[Any]:
        """Return GetModelStatus' list over gRPC."""
        get_model_status_pb2 = protos.load("get_model_status_pb2")
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        stub = protos.load("model_service_pb2_grpc").ModelServiceStub(self.channel)
        return list(stub.GetModelStatus(request, timeout=10).model_version_status)

    def states(self, model: str) -> dict[int, int]:
        """Return the state of every version; none if the model is not known (yet)."""
        try:
            return {entry.version: entry.state for entry in self.status(model)}
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return {}

    def wait_for_states(self, model: str, states: Mapping[int, int]) -> None:
        self.wait_for(lambda: self.states(model) == states)

    def wait_for(self, condition: Callable[[], bool], timeout: float = 30) -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, self.log
            time.sleep(0.02)


def model_server_config(**models: Path | tuple[Path, str]) -> str:
    """Return a ModelServerConfig: a base path for each model, or that and further fields in text format."""
    entries = []
    for name, value in models.items():
        base, extra = value if isinstance(value, tuple) else (value, "")
        entries.append(f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" {extra} }}')
    return f"model_config_list {{ {' '.join(entries)} }}"


def publish(saved_model: Path, base: Path, version: int | str) -> Path:
    """Put a copy of a SavedModel under a base path at once, as `tfs export` does."""
    import shutil

    base.mkdir(parents=True, exist_ok=True)
    hidden = base / f".{version}.tmp-test"
    shutil.copytree(saved_model, hidden)
    return hidden.rename(base / str(version))
