import subprocess
import sys

from tfs.savedmodel.custom_ops import custom_ops

_COMPARE = """
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session as session
from tfs.savedmodel.custom_ops import custom_ops
from tfs.savedmodel.tensorflow_paths import text_op_libraries

def registered():
    buffer = session.TF_GetAllOpList()
    return {op.name for op in op_def_pb2.OpList.FromString(session.TF_GetBuffer(buffer)).op}

own = registered()
for library in text_op_libraries():
    tf.load_op_library(str(library))
added = sorted(registered() - own)
assert len(added) > 30, added
assert custom_ops(added) == {"tensorflow-text": added}, set(added) ^ set(custom_ops(added)["tensorflow-text"])
assert custom_ops(own - {"Namespace>TestStringOutput"}) == {}, custom_ops(own)
"""


def test_the_list_of_text_ops_is_that_of_the_installed_libraries():
    done = subprocess.run([sys.executable, "-c", _COMPARE], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_ops_are_grouped_by_the_library_they_need():
    found = custom_ops(["MatMul", "TFText>RoundRobinTrim", "Addons>Gelu", "SentencepieceOp"])
    assert found == {"Addons": ["Addons>Gelu"], "tensorflow-text": ["SentencepieceOp", "TFText>RoundRobinTrim"]}
