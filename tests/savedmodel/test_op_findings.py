import pytest

from tfs.savedmodel.description import describe, graph_of
from tfs.savedmodel.op_findings import denied_ops, placement_of, served_nodes
from tfs.savedmodel.protos import meta_graph_pb2


@pytest.fixture(scope="module")
def spy(tmp_path_factory):
    """A version whose function reads a file, calls Python and prints; its variable is saved by ops of the same kind."""
    import tensorflow as tf

    class Spy(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(1.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def __call__(self, x):
            tf.print(x)
            with tf.device("/GPU:0"):
                y = tf.numpy_function(lambda value: value, [x], tf.float32)
            return {"y": y * self.weight, "secret": tf.io.read_file("secret.txt")}

    path = tmp_path_factory.mktemp("spy") / "1"
    tf.saved_model.save(Spy(), str(path))
    return path


def test_denied_ops_are_named_with_node_and_function_but_not_those_of_the_saver(spy):
    graph, _ = graph_of(spy)
    found = denied_ops(served_nodes(graph))
    assert {denied.op for denied in found} == {"ReadFile", "PyFunc", "PrintV2"}
    assert {denied.reason for denied in found if denied.op == "PyFunc"} == {"calls Python, which a server has not"}
    bodies = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    for denied in found:
        assert denied.op in {node.op for node in bodies[denied.function] if node.name == denied.node}
    assert {"SaveV2", "RestoreV2"} <= describe(spy).ops.keys()


def test_a_save_that_a_signature_reaches_is_denied():
    graph = meta_graph_pb2.MetaGraphDef()
    graph.saver_def.save_tensor_name = "save:0"
    for name, op, inputs in (("save", "SaveV2", []), ("leak", "SaveV2", []), ("y", "Identity", ["^leak"])):
        graph.graph_def.node.add(name=name, op=op, input=inputs)
    graph.signature_def["serving_default"].outputs["y"].name = "y:0"
    assert [(denied.op, denied.node, denied.function) for denied in denied_ops(served_nodes(graph))] == [
        ("SaveV2", "leak", "")
    ]


def test_placement_counts_devices_and_ops_without_a_gpu_kernel(spy, plain_model):
    placement = describe(spy).placement
    assert any("GPU:0" in device for device in placement.pinned)
    assert any("soft placement" in hint for hint in placement.hints)
    assert describe(plain_model / "3").placement.cpu_only.keys() == {"HashTableV2", "LookupTableFindV2"}


def test_what_needs_a_gpu_is_told():
    graph = meta_graph_pb2.MetaGraphDef()
    graph.graph_def.node.add(name="rnn", op="CudnnRNNV3")
    assert placement_of(served_nodes(graph)).hints == ("needs a GPU: CudnnRNNV3 have no kernel for a CPU",)
    graph.graph_def.node[0].op = "Conv2D"
    graph.graph_def.node[0].attr["data_format"].s = b"NHWC"
    assert placement_of(served_nodes(graph)).hints == ()
    graph.graph_def.node[0].attr["data_format"].s = b"NCHW"
    assert "`rnn` has its channels first" in placement_of(served_nodes(graph)).hints[0]
