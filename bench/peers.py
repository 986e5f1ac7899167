"""The Python peers: servers that a folder with launchers starts in their own virtual environments.

The folder's `run_all.py` says how each is built and started (`SYSTEMS`, `build_venv`, `bindir`, `tree`, `stop`);
models, load and statistics are ours, so that a peer's row stands beside the row of tfs.
"""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from answers import check_rest
from loads import Sample, rest_load
from models import Model
from settings import Settings

__all__ = ["Peer", "launchers", "systems"]

_START_SECONDS = 150.0
_V2_TYPES = {"float32": "FP32", "int32": "INT32", "int64": "INT64"}


def launchers(folder: Path, work: Path) -> ModuleType:
    """Return the folder's `run_all` module, with its environments and logs in `work`.

    TensorFlow comes from the environment that this runs in, unless PEERS_TF_VENV names another.
    """
    os.environ.setdefault("PEERS_WORK", str(work.resolve()))
    os.environ.setdefault("PEERS_TF_VENV", sys.prefix)
    spec = importlib.util.spec_from_file_location("peers_run_all", folder / "run_all.py")
    if spec is None or spec.loader is None or not (folder / "run_all.py").is_file():
        raise RuntimeError(f"--peers: there is no `{folder / 'run_all.py'}`")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (Path(module.WORK) / "log").mkdir(parents=True, exist_ok=True)
    return module


def systems(module: ModuleType, pattern: str) -> list[dict[str, Any]]:
    """Return the REST systems whose name matches."""
    rest = [system for system in module.SYSTEMS if system.get("proto", "http") in ("http", "v2")]
    return [system for system in rest if re.search(pattern, system["name"])]


class Peer:
    """A running peer that is frozen (SIGSTOP) except while it is measured, so that it takes nothing from the others.

    Attributes:
        url: where its requests go.
        body: one row of the model, as it wants it.
    """

    def __init__(self, module: ModuleType, system: dict[str, Any], model: Model, folder: Path) -> None:
        self._module, self._model = module, model
        v2 = system.get("proto") == "v2"
        port, port2, port3 = module.free_ports(3)
        path = f"/v2/models/{model.name}/infer" if v2 else f"/v1/models/{model.name}:predict"
        self.url = f"http://127.0.0.1:{port}{path}"
        self.body = _v2_body(model) if v2 else model.body()
        programs = module.bindir(system.get("venv", "tf"))
        names = {
            "port": port,
            "port2": port2,
            "port3": port3,
            "model": model.name,
            "here": module.HERE,
            "bin": programs,
        }
        run = folder / re.sub(r"\W+", "-", system["name"])
        run.mkdir(parents=True)
        with (Path(module.WORK) / "log" / f"{run.name}.{model.name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                [word.format(**names) for word in system["cmd"]],
                cwd=run,
                env=_environment(module, system, model, folder, programs),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_for_answer(_START_SECONDS)
            self.check()
        except BaseException:
            self.stop()
            raise
        self._signal(signal.SIGSTOP)

    def measure(self, settings: Settings, seconds: float, connections: int) -> Sample:
        """Thaw it, load it, freeze it."""
        self._signal(signal.SIGCONT)
        try:
            self._wait_for_answer(_START_SECONDS)
            return rest_load([self.url], self.body, connections=connections, seconds=seconds, scratch=settings.scratch)
        finally:
            self._signal(signal.SIGSTOP)

    def check(self) -> None:
        """Compare an answer with the model's."""
        check_rest(self.url, self._model, body=self.body)

    def stop(self) -> None:
        """End it with all its processes."""
        self._signal(signal.SIGCONT)
        self._module.stop(self._process, self._module.tree(self._process.pid))

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._module.tree(self._process.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:  # it ended by itself
                continue

    def _wait_for_answer(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (code := self._process.poll()) is not None:
                raise RuntimeError(f"it ended with exit code {code}")
            try:
                if httpx.post(self.url, content=self.body, headers={"content-type": "application/json"}).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"no answer within {seconds:.0f} s")


def _environment(
    module: ModuleType, system: dict[str, Any], model: Model, folder: Path, programs: str
) -> dict[str, str]:
    """Return the environment of a peer; the model lies in `folder` as its code expects it."""
    place = folder / "models" / model.name
    if not place.exists():
        place.mkdir(parents=True)
        (place / "1").symlink_to((model.base_path / "1").resolve())
        [(alias, array)], [output] = model.inputs.items(), model.outputs
        info = {"input": alias, "dtype": array.dtype.name, "shape": [None, *array.shape[1:]], "output": output}
        (place / "info.json").write_text(json.dumps(info))
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([os.path.join(module.HERE, "servers"), module.HERE]),
        "PEER_MODELS": str(place.parent),
        "PEER_MODEL": model.name,
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "RAY_USAGE_STATS_ENABLED": "0",
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": os.path.join(module.WORK, "bentoml"),
        "PATH": programs + os.pathsep + os.environ["PATH"],
        **system.get("env", {}),
    }


def _v2_body(model: Model) -> bytes:
    """Return one row as a request of the Open Inference Protocol."""
    [(alias, array)] = model.rows(1).items()
    tensor = {
        "name": alias,
        "shape": array.shape,
        "datatype": _V2_TYPES[array.dtype.name],
        "data": array.ravel().tolist(),
    }
    return json.dumps({"inputs": [tensor]}).encode()
