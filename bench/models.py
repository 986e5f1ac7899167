"""The models that are measured, each with one request and the answer that is right."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfs.savedmodel.protos import load
from tfs.savedmodel.tensors import proto_from_array

__all__ = ["Model", "make_models"]

_ROOT = Path(__file__).parents[1]
_NAMES = ("half_plus_two", "digits")


@dataclass(frozen=True)
class Model:
    """A version to serve.

    Attributes:
        name: as requests name it.
        base_path: the directory with version 1.
        inputs, outputs: one request and its answer by alias; the outputs are those of TensorFlow's Python.
    """

    name: str
    base_path: Path
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]

    @property
    def message(self) -> bytes:
        """The request as a serialized PredictRequest."""
        request = load("predict_pb2").PredictRequest()
        request.model_spec.name = self.name
        for alias, array in self.inputs.items():
            request.inputs[alias].CopyFrom(proto_from_array(array))
        return bytes(request.SerializeToString())

    @property
    def body(self) -> bytes:
        """The request as the body of a REST call, in the row format."""
        [array] = self.inputs.values()
        return json.dumps({"instances": array.tolist()}).encode()


def make_models(folder: Path) -> list[Model]:
    """Make both models in `folder`, the second by `tfs run recipes/digits.yaml`; this takes about half a minute."""
    subprocess.run([sys.executable, str(_ROOT / "bench/make_models.py"), str(folder)], check=True)
    changes = [
        f"output={folder / 'models/digits'}",
        f"export.source={folder / 'digits.keras'}",
        f"warmup.data={folder / 'warmup.jsonl'}",
    ]
    _tfs("run", "recipes/digits.yaml", *(word for change in changes for word in ("--set", change)))
    _tfs("warmup", str(folder / "models/half_plus_two/1"), "--synthetic", "--records", "20")
    with np.load(folder / "cases.npz") as cases:
        return [
            Model(
                name,
                folder / "models" / name,
                {key.rpartition("/")[2]: cases[key] for key in cases if key.startswith(f"{name}/in/")},
                {key.rpartition("/")[2]: cases[key] for key in cases if key.startswith(f"{name}/out/")},
            )
            for name in _NAMES
        ]


def _tfs(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "tfs.cli", *arguments], cwd=_ROOT, check=True, stdout=subprocess.DEVNULL)
