"""The models that are measured, each with requests and the answers that are right; made once, then kept in a folder."""

import hashlib
import json
import subprocess
import sys
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfs.savedmodel.protos import load
from tfs.savedmodel.tensorflow_paths import tensorflow_version
from tfs.savedmodel.tensors import proto_from_array

__all__ = ["NAMES", "Model", "get_model"]

_HERE = Path(__file__).parent
# The file with the code of each.
NAMES = {
    "half_plus_two": "half_plus_two.py",
    "digits": "../../recipes/digits.py",
    "encoder": "text_encoder.py",
    "encoder_tokens": "text_encoder.py",
    "deepfm": "../../recipes/deepfm.py",
    "deepfm_ids": "../../recipes/deepfm.py",
    "fashion": "images.py",
    "mobilenet_v2": "images.py",
    "resnet50": "images.py",
    "tensors": "tensors.py",
    "table": "table.py",
}


@dataclass(frozen=True)
class Model:
    """A version to serve.

    Attributes:
        name: as requests name it.
        base_path: the directory with version 1.
        inputs, outputs: rows and their answers by alias; the outputs are those of TensorFlow's Python.
    """

    name: str
    base_path: Path
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]

    def rows(self, count: int) -> dict[str, np.ndarray]:
        """Return the inputs of a request with `count` rows; past the last row they begin again."""
        return {alias: np.resize(array, (count, *array.shape[1:])) for alias, array in self.inputs.items()}

    def message(self, count: int = 1) -> bytes:
        """Return a request with `count` rows as a serialized PredictRequest."""
        return predict_request(self.name, self.rows(count))

    def body(self, count: int = 1) -> bytes:
        """Return the same request as the body of a REST call, in the row format."""
        inputs = self.rows(count)
        if len(inputs) == 1:
            return json.dumps({"instances": _json(*inputs.values())}).encode()
        rows = zip(*(_json(array) for array in inputs.values()), strict=True)
        return json.dumps({"instances": [dict(zip(inputs, row, strict=True)) for row in rows]}).encode()


def predict_request(name: str, inputs: dict[str, np.ndarray], signature: str = "") -> bytes:
    """Return a serialized PredictRequest; numbers travel as `tensor_content`."""
    request = load("predict_pb2").PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(proto_from_array(array))
    return bytes(request.SerializeToString())


def get_model(name: str, folder: Path) -> Model:
    """Return a model of `NAMES` from `folder`; if it is not there, or its code has changed since, it is made.

    Making one takes a few seconds, most of which is the import of TensorFlow; the text encoder takes half a minute.
    """
    target, stamp = folder / name, _stamp(name)
    if not (target / "stamp").is_file() or (target / "stamp").read_text() != stamp:
        print(f"making the model {name}", file=sys.stderr)
        subprocess.run([sys.executable, str(_HERE / "build.py"), name, str(target)], check=True)
        (target / "stamp").write_text(stamp)
    with np.load(target / "rows.npz", allow_pickle=True) as rows:
        arrays: dict[str, dict[str, np.ndarray]] = {"in": {}, "out": {}}
        for key in rows:
            kind, _, alias = key.partition("/")
            arrays[kind][alias] = rows[key]
    return Model(name, target / "versions", arrays["in"], arrays["out"])


def _stamp(name: str) -> str:
    code = b"".join((_HERE / file).read_bytes() for file in ("build.py", NAMES[name]))
    return f"TensorFlow {tensorflow_version()}, {hashlib.sha256(code).hexdigest()}\n"


def _json(array: np.ndarray) -> list[Any]:
    if array.dtype != object:
        return list(array.tolist())
    return [{"b64": b64encode(string).decode()} for string in array]
