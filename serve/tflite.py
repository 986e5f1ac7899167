"""A version whose model is a TFLite file: what the engine runs in place of a TensorFlow session.

The engine has as many threads for it as it has interpreters, so an interpreter is free whenever such a thread asks.
Only threads that run batches or warm-up records may have to wait for one.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from tfs.savedmodel.dtypes import dtype_name, dtype_number
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.numpy_dtypes import dtype_of_array, numpy_dtype
from tfs.savedmodel.protos import load
from tfs.serve.codes import Code
from tfs.serve.data_plane import VersionError
from tfs.serve.executor import Tensor
from tfs.serve.litert import Interpreter, Runner
from tfs.serve.source import TFLITE_FILE

__all__ = ["TfliteModel"]

_METHOD = "tensorflow/serving/predict"


class TfliteModel:
    """An `Executor` of the engine, see there.

    Args:
        directory: the version, which has a `model.tflite`. Nothing is read from it later on.
        interpreters: how many requests may be computed at a time.

    Raises:
        VersionError: LiteRT is not installed, or does not take the file.
    """

    def __init__(self, directory: str, interpreters: int) -> None:
        path = os.path.join(directory, TFLITE_FILE)
        self.slots = interpreters
        self._idle: SimpleQueue[Interpreter] = SimpleQueue()
        try:
            # Read and not mapped: a file that is written over must not change, or end, a server that runs.
            self._content = Path(path).read_bytes()
            for _ in range(interpreters):
                self._idle.put(Interpreter(self._content))
            first = self._idle.get()
            self.meta_graph = _meta_graph(first.runners)
            self._idle.put(first)
        except ImportError as error:
            raise VersionError(
                Code.FAILED_PRECONDITION, f"`{path}` needs LiteRT: {error}", "pip install tfs[tflite]"
            ) from error
        except OSError as error:
            raise VersionError(Code.UNAVAILABLE, f"cannot read `{path}`: {error.strerror}") from error
        except ValueError as error:
            raise VersionError(
                Code.INVALID_ARGUMENT, f"`{path}` is no TFLite model that can be served: {error}"
            ) from error
        except (RuntimeError, TfsError) as error:
            raise VersionError(Code.INTERNAL, f"LiteRT cannot run `{path}`: {error}") from error

    def run(self, signature: str, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> list[Tensor]:
        """Compute some outputs of a signature; see `Executor.run`."""
        arrays = {alias: _array(tensor) for alias, tensor in inputs.items()}
        interpreter = self._idle.get()
        try:
            answer = interpreter.runners[signature](**arrays)
        except RuntimeError as error:
            # LiteRT adds each error's text to those before, and does not promise that what failed can go on.
            interpreter = Interpreter(self._content)
            shapes = ", ".join(f"{alias} {list(array.shape)}" for alias, array in arrays.items())
            raise RuntimeError(f"LiteRT failed on inputs of the shapes {shapes}: {error}") from error
        finally:
            self._idle.put(interpreter)
        return [_tensor(answer[alias]) for alias in outputs]


def _meta_graph(runners: Mapping[str, Runner]) -> bytes:
    meta_graph = load("meta_graph_pb2").MetaGraphDef()
    for name, runner in runners.items():
        signature = meta_graph.signature_def[name]
        signature.method_name = _METHOD
        for infos, details in (
            (signature.inputs, runner.get_input_details()),
            (signature.outputs, runner.get_output_details()),
        ):
            for alias, detail in details.items():
                info = infos[alias]
                info.name = detail["name"]
                info.dtype = dtype_number(dtype_of_array(np.empty(0, detail["dtype"])))
                info.tensor_shape.SetInParent()
                for size in detail["shape_signature"]:
                    info.tensor_shape.dim.add(size=int(size))
    serialized: bytes = meta_graph.SerializeToString()
    return serialized


def _array(tensor: Tensor) -> np.ndarray:
    number, shape, elements = tensor
    dtype = numpy_dtype(dtype_name(number))
    if isinstance(elements, bytes):
        return np.frombuffer(elements, dtype).reshape(shape)
    strings = np.empty(len(elements), dtype)
    strings[:] = elements
    return strings.reshape(shape)


def _tensor(array: np.ndarray) -> Tensor:
    name = dtype_of_array(array)
    elements = array.ravel().tolist() if name == "string" else array.tobytes()
    return dtype_number(name), array.shape, elements
