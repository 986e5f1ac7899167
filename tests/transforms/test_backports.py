"""Older versions of ops, and sparse weights in tables."""

from typing import Any

import numpy as np
import pytest
from graphs import apply, assert_same_numbers, numbers, ops, reasons, result_of, tf1, view_of

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_view import GraphView
from tfs.transforms.passes.sparsify_gather import SparsifyGather


@pytest.mark.parametrize("axis", ["int32", "int64", "fed"])
def test_concat_takes_its_axis_first_and_as_int32(axis: str) -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [2, 3], name="x")
        where = tf1().placeholder(tf.int64, [], name="axis") if axis == "fed" else tf.constant(1, axis)
        with tf.control_dependencies([tf.raw_ops.Assert(condition=x[0, 0] < 2, data=[x])]):
            tf.raw_ops.ConcatV2(values=[x, x * 2, x], axis=where, name="y")

    before = view_of(build, fed=("x", "axis") if axis == "fed" else ("x",))
    after = apply("backport_concatv2", before)
    assert (after.nodes["y"].op, "Tidx" in after.nodes["y"].attr) == ("Concat", False)
    assert_same_numbers(before, after, {"x": numbers(2, 3), **({"axis": 1} if axis == "fed" else {})})


def _loop() -> GraphView:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 3], name="x")
        tf1().disable_control_flow_v2()
        with tf1().variable_scope("loop"):
            array = tf.TensorArray(tf.float32, size=4, clear_after_read=False)
            _, array = tf1().while_loop(
                lambda i, _: i < 4, lambda i, a: (i + 1, a.write(i, x * tf.cast(i, tf.float32))), [0, array]
            )
            tf.identity(array.stack(), name="stacked")
        tf1().enable_control_flow_v2()
        tf.reduce_sum(array.stack(), 0, name="y")

    return view_of(build)


def test_tensor_arrays_get_their_old_form_and_an_old_producer() -> None:
    import tensorflow as tf

    tf1().disable_tensor_equality()
    before = _loop()
    tf1().enable_tensor_equality()
    if not any(node.op == "TensorArrayV3" for node in before):
        pytest.skip("this TensorFlow makes lists of tensors instead")
    after = apply("backport_tensor_array_v3", before)
    assert not any(node.op.startswith("TensorArray") and node.op.endswith("V3") for node in after)
    assert after.versions.producer == 25
    assert tf.__version__
    assert_same_numbers(before, after, {"x": numbers(2, 3)})


def _embedding(ids: str, values: np.ndarray) -> GraphView:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(ids, [None], name="x")
        tf.gather(tf.identity(tf.constant(values, name="weights")), x, name="y")

    return view_of(build)


@pytest.mark.parametrize("ids", ["int32", "int64"])
def test_a_sparse_column_becomes_a_table_that_the_init_op_fills(ids: str) -> None:
    import tensorflow as tf

    column = np.zeros((50, 1), np.float32)
    column[[3, 40], 0] = 2.5, -1
    after = apply("sparsify_gather(group_init_node=fill)", _embedding(ids, column))
    assert after.nodes["y"].op == "ExpandDims"
    assert not ops(after).keys() & {"Gather", "GatherV2"}
    assert after.nodes["fill"].op == "NoOp"
    assert after.roots.init_op is not None

    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(after.graph_def, name="")
    with tf1().Session(graph=graph) as session:
        session.run(after.roots.init_op)
        np.testing.assert_array_equal(session.run("y:0", {"x:0": [3, 4, 40]}), [[2.5], [0], [-1]])


def test_other_weights_stay_and_say_why() -> None:
    result = result_of(SparsifyGather(), _embedding("int32", numbers(50, 2)))
    assert "float32[50, 2], not float32[N, 1]" in reasons(result)


def test_tensor_arrays_in_a_graph_with_functions_are_refused() -> None:
    import tensorflow as tf

    @tf.function
    def double(x: Any) -> Any:
        return x * 2.0

    def build() -> None:
        x = tf1().placeholder(tf.float32, [], name="x")
        array = tf.raw_ops.TensorArrayV3(size=1, dtype=tf.float32)
        flow = tf.raw_ops.TensorArrayWriteV3(handle=array.handle, index=0, value=double(x), flow_in=array.flow)
        tf.raw_ops.TensorArrayReadV3(handle=array.handle, index=0, flow_in=flow, dtype=tf.float32, name="y")

    with pytest.raises(TfsError, match="needs a graph of producer 25 at most, and this one has functions"):
        apply("backport_tensor_array_v3", view_of(build))
