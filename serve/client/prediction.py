"""What a server has answered, the same over REST and gRPC: arrays with one row for each row or example."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.json_tensors import array_from_json, json_from_array
from tfs.savedmodel.reading import Signature
from tfs.savedmodel.tensors import array_from_proto, string_array
from tfs.serve.client.request import Method

__all__ = ["Prediction", "prediction_of_message", "prediction_of_rest"]


@dataclass(frozen=True)
class Prediction:
    """An answer.

    Attributes:
        version: the version that answered; over REST, which does not say, the one that was asked for.
        outputs: arrays by output; of Classify `classes` and `scores`, of Regress `values`.
    """

    version: int | None
    outputs: dict[str, np.ndarray]

    def json_outputs(self) -> dict[str, Any]:
        """Return the outputs as JSON values."""
        return {alias: json_from_array(array) for alias, array in self.outputs.items()}

    def npz_arrays(self) -> dict[str, np.ndarray]:
        """Return arrays that an `.npz` file holds without pickling: strings as dtype S, bfloat16 as float32."""
        arrays = {}
        for alias, array in self.outputs.items():
            if array.dtype == object:
                # Not straight from objects, which numpy would ask for their text.
                arrays[alias] = np.array(array.ravel().tolist(), dtype="S").reshape(array.shape)
            else:
                arrays[alias] = array if array.dtype.isbuiltin == 1 else array.astype(np.float32)
        return arrays


def prediction_of_message(reply: Any, method: Method) -> Prediction:
    """Read a gRPC reply."""
    version = reply.model_spec.version.value
    if method is Method.PREDICT:
        return Prediction(version, {alias: array_from_proto(proto) for alias, proto in sorted(reply.outputs.items())})
    if method is Method.REGRESS:
        values = [regression.value for regression in reply.result.regressions]
        return Prediction(version, {"values": np.array(values, np.float32)})
    rows = [[(found.label, found.score) for found in row.classes] for row in reply.result.classifications]
    return Prediction(version, _classes(rows))


def prediction_of_rest(reply: Any, method: Method, signature: Signature, version: int | None) -> Prediction:
    """Read the JSON of a REST reply, with the dtypes of the signature.

    Raises:
        TfsError: it is not what the method answers.
    """
    try:
        if method is Method.REGRESS:
            return Prediction(version, {"values": np.array(reply["results"], np.float32)})
        if method is Method.CLASSIFY:
            return Prediction(version, _classes(reply["results"]))
        columns = _columns(reply, signature)
        arrays = {alias: array_from_json(columns[alias], signature.outputs[alias].dtype) for alias in columns}
        return Prediction(version, arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise TfsError(f"the server's answer is none to `{method.value}` of this signature") from error


def _classes(rows: list[Any]) -> dict[str, np.ndarray]:
    labels = [[label.encode() if isinstance(label, str) else label for label, _ in row] for row in rows]
    return {
        "classes": string_array(np.array(labels, dtype=object)),
        "scores": np.array([[score for _, score in row] for row in rows], np.float32),
    }


def _columns(reply: Any, signature: Signature) -> dict[str, Any]:
    """Name the outputs, and turn rows into columns: one output stands bare in either format."""
    single = next(iter(signature.outputs)) if len(signature.outputs) == 1 else None
    if "outputs" in reply:
        return {single: reply["outputs"]} if single else dict(reply["outputs"])
    rows = reply["predictions"]
    return {single: rows} if single else {alias: [row[alias] for row in rows] for alias in signature.outputs}
