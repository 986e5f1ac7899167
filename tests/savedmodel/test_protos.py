import subprocess
import sys

import pytest

_USE_PROTOS = """
from tfs.savedmodel.protos import meta_graph_pb2, predict_pb2, prediction_service_pb2_grpc, tensor_pb2
request = predict_pb2.PredictRequest()
request.inputs["x"].CopyFrom(tensor_pb2.TensorProto(dtype=1, float_val=[1.5]))
assert predict_pb2.PredictRequest.FromString(request.SerializeToString()) == request
assert prediction_service_pb2_grpc.PredictionServiceStub
"""
_USE_TENSORFLOW = """
import tensorflow as tf
assert tf.constant([1, 2]).numpy().tolist() == [1, 2]
from tensorflow.core.framework import tensor_pb2 as real
import tensorflow.core.framework.tensor_pb2 as same
assert tf.make_tensor_proto([1.5]).__class__ is real.TensorProto is same.TensorProto
assert tf.function(lambda x: x + 1)(tf.constant(1)).numpy() == 2
"""
_SAME_CLASSES = """
from tfs.savedmodel.protos import tensor_pb2
assert tensor_pb2.TensorProto is real.TensorProto
from tfs.savedmodel.protos import get_model_status_pb2, model_server_config_pb2
model_server_config_pb2.ModelServerConfig()
"""


def _run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_protos_load_without_tensorflow_and_leave_no_bare_package_behind():
    _run(_USE_PROTOS + "import sys; assert 'tensorflow' not in sys.modules and 'tensorflow.python' not in sys.modules")


def test_protos_then_tensorflow():
    _run(_USE_PROTOS + _USE_TENSORFLOW + _SAME_CLASSES)


def test_tensorflow_then_protos():
    _run(_USE_TENSORFLOW + _USE_PROTOS + _SAME_CLASSES + "import sys; assert sys.modules['tensorflow'] is tf")


def test_serving_apis_imported_by_hand_work_after_protos_and_tensorflow():
    by_hand = (
        "from tensorflow_serving.apis import predict_pb2 as p\nassert p.PredictRequest is predict_pb2.PredictRequest"
    )
    _run(_USE_PROTOS + _USE_TENSORFLOW + by_hand)


_USE_IN_THREADS = """
import sys, threading
from tfs.savedmodel import protos
sys.setswitchinterval(1e-6)
start, loaded = threading.Barrier(8), []

def use():
    start.wait()
    loaded.append(protos.load("prediction_log_pb2").PredictionLog)

threads = [threading.Thread(target=use) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(loaded) == 8 and len(set(loaded)) == 1
"""


def test_a_module_that_another_thread_is_loading_is_waited_for():
    _run(_USE_IN_THREADS)


def test_every_listed_module_exists():
    from tfs.savedmodel import protos

    for name in protos._PACKAGES:
        assert protos.load(name).DESCRIPTOR if name.endswith("_pb2") else protos.load(name)


def test_an_unknown_module_is_an_attribute_error():
    from tfs.savedmodel import protos

    with pytest.raises(AttributeError, match="nothing_pb2"):
        protos.nothing_pb2  # noqa: B018
