"""TensorFlow's and TensorFlow Serving's protocol buffers without the 3 s import of TensorFlow.

`from tfs.savedmodel.protos import saved_model_pb2` gives the generated module of that name in about 0.1 s: while it
loads, a bare `tensorflow` package object (right `__path__`, `__init__.py` not run) stands in `sys.modules`, and it is
taken away again afterwards. The loaded `tensorflow.core.*` modules stay, so a real `import tensorflow` before or after
sees the same message classes; once TensorFlow is really imported it is used as it is.
"""

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tfs.savedmodel.errors import TfsError

__all__ = ["load"]

_FRAMEWORK = "tensorflow.core.framework"
_PROTOBUF = "tensorflow.core.protobuf"
_APIS = "tensorflow_serving.apis"
_CONFIG = "tensorflow_serving.config"

_PACKAGES = {
    "attr_value_pb2": _FRAMEWORK,
    "function_pb2": _FRAMEWORK,
    "graph_pb2": _FRAMEWORK,
    "node_def_pb2": _FRAMEWORK,
    "op_def_pb2": _FRAMEWORK,
    "tensor_pb2": _FRAMEWORK,
    "tensor_shape_pb2": _FRAMEWORK,
    "types_pb2": _FRAMEWORK,
    "variable_pb2": _FRAMEWORK,
    "versions_pb2": _FRAMEWORK,
    "config_pb2": _PROTOBUF,
    "error_codes_pb2": _PROTOBUF,
    "fingerprint_pb2": _PROTOBUF,
    "meta_graph_pb2": _PROTOBUF,
    "rewriter_config_pb2": _PROTOBUF,
    "saved_model_pb2": _PROTOBUF,
    "saved_object_graph_pb2": _PROTOBUF,
    "saver_pb2": _PROTOBUF,
    "struct_pb2": _PROTOBUF,
    "tensor_bundle_pb2": _PROTOBUF,
    "trackable_object_graph_pb2": _PROTOBUF,
    "example_pb2": "tensorflow.core.example",
    "feature_pb2": "tensorflow.core.example",
    "classification_pb2": _APIS,
    "get_model_metadata_pb2": _APIS,
    "get_model_status_pb2": _APIS,
    "inference_pb2": _APIS,
    "input_pb2": _APIS,
    "model_management_pb2": _APIS,
    "model_pb2": _APIS,
    "model_service_pb2": _APIS,
    "model_service_pb2_grpc": _APIS,
    "predict_pb2": _APIS,
    "prediction_log_pb2": _APIS,
    "prediction_service_pb2": _APIS,
    "prediction_service_pb2_grpc": _APIS,
    "session_service_pb2": _APIS,
    "regression_pb2": _APIS,
    "status_pb2": _APIS,
    "file_system_storage_path_source_pb2": _CONFIG,
    "log_collector_config_pb2": _CONFIG,
    "logging_config_pb2": _CONFIG,
    "model_server_config_pb2": _CONFIG,
    "platform_config_pb2": _CONFIG,
}

# Two threads must not put up and take down the bare package at the same time.
_LOCK = threading.Lock()

# By their full names.
_loaded: dict[str, Any] = {}


@contextmanager
def _bare_tensorflow() -> Iterator[None]:
    with _LOCK:
        if "tensorflow" in sys.modules:
            yield
            return
        spec = importlib.util.find_spec("tensorflow")
        if spec is None or not spec.submodule_search_locations:
            raise TfsError("the Python package tensorflow is not installed", "pip install tensorflow")
        sys.modules["tensorflow"] = importlib.util.module_from_spec(spec)
        try:
            yield
        finally:
            del sys.modules["tensorflow"]


def load(name: str) -> Any:
    """Return the generated module called `name`, as `saved_model_pb2` or `prediction_service_pb2_grpc`.

    The same module object is returned each time, and it is the one that TensorFlow itself uses. `tensorflow` is in
    `sys.modules` afterwards only if it was before. Importing TensorFlow for the first time in another thread while
    this runs is not supported.

    Raises:
        TfsError: tensorflow or tensorflow-serving-api is not installed.
        KeyError: no such module is known here.
    """
    path = f"{_PACKAGES[name]}.{name}"
    # Not sys.modules, which has a module as soon as another thread begins to import it.
    if path in _loaded:
        return _loaded[path]
    with _bare_tensorflow():
        try:
            return _loaded.setdefault(path, importlib.import_module(path))
        except ModuleNotFoundError as error:
            package = "tensorflow-serving-api" if path.startswith("tensorflow_serving") else "tensorflow"
            raise TfsError(f"`{path}` is missing from the installed {package}", f"pip install {package}") from error


def __getattr__(name: str) -> Any:
    if name not in _PACKAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return load(name)
