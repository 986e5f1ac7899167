import pytest
from graphs import apply, assert_same_numbers, numbers, ops, tf1, view_of

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_view import GraphView, Roots, Tensor


def _two_branches() -> None:
    import tensorflow as tf

    x = tf1().placeholder(tf.float32, [None, 2], name="x")
    tf.negative(x, name="y")
    tf.exp(tf1().placeholder(tf.float32, [], name="other"), name="unused")


def test_keeps_what_outputs_need_and_nothing_else() -> None:
    before = view_of(_two_branches)
    after = apply("strip_unused_nodes", before)
    assert set(after.nodes) == {"x", "y"}
    assert_same_numbers(before, after, {"x": numbers(3, 2)})


def test_keeps_an_input_that_no_output_reads() -> None:
    after = apply("strip_unused_nodes", view_of(_two_branches, fed=("x", "other")))
    assert set(after.nodes) == {"x", "y", "other"}


def test_keeps_a_node_that_only_a_control_edge_needs() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        with tf.control_dependencies([tf.raw_ops.Assert(condition=x > 0, data=[x], name="check")]):
            tf.identity(x, name="y")

    assert ops(apply("strip_unused_nodes", view_of(build)))["Assert"] == 1


def test_a_fed_node_inside_the_graph_becomes_a_placeholder_of_the_type_and_shape_given() -> None:
    before = view_of(_two_branches, fed=("y",), fetched=("y",))
    after = apply(
        'strip_unused_nodes(type=int32, shape="4", name=y, type_for_name=float, shape_for_name="2,-1")', before
    )
    node = after.nodes["y"]
    assert set(after.nodes) == {"y"}
    assert (node.op, node.attr["dtype"].type) == ("Placeholder", 1)
    assert [dim.size for dim in node.attr["shape"].shape.dim] == [2, -1]


def test_what_computes_the_default_of_an_input_stays() -> None:
    """As where one signature feeds the features and another the examples that they are parsed from."""

    def build() -> None:
        import tensorflow as tf

        text = tf1().placeholder(tf.string, [None], name="text")
        x = tf1().placeholder_with_default(tf.strings.to_number(text), [None], name="x")
        tf.negative(x, name="y")

    before = view_of(build, fed=("text", "x"))
    after = apply("strip_unused_nodes", before)
    assert set(after.nodes) >= {"text", "x", "y"}
    assert_same_numbers(before, after, {"x": numbers(3)})
    assert_same_numbers(before, after, {"text": [b"1.5", b"2"]})


def test_a_fed_node_that_another_signature_computes_stays() -> None:
    """As where one signature feeds the text and another the ids that the first one makes of it."""

    def build() -> None:
        import tensorflow as tf

        text = tf1().placeholder(tf.string, [None], name="text")
        ids = tf.strings.to_hash_bucket_fast(text, 100, name="ids")
        tf.negative(ids, name="y")

    before = view_of(build, fed=("text", "ids"))
    after = apply("strip_unused_nodes(type=int64)", before)
    assert after.nodes["ids"].op == "StringToHashBucketFast"
    assert_same_numbers(before, after, {"text": [b"a", b"b"]})
    assert_same_numbers(before, after, {"ids": [3, 4]})
    alone = apply("strip_unused_nodes(type=int64)", view_of(build, fed=("ids",)))
    assert alone.nodes.keys() == {"ids", "y"}


def test_functions_that_nothing_calls_go_too() -> None:
    import tensorflow as tf

    def build() -> None:
        x = tf1().placeholder(tf.float32, [], name="x")
        tf.identity(tf.function(lambda v: v * 2)(x), name="y")
        tf.function(lambda v: v * 3)(x)

    before = view_of(build)
    after = apply("strip_unused_nodes", before)
    assert len(before.library.function) == 2
    assert len(after.library.function) == 1
    assert_same_numbers(before, after, {"x": 4.0})


def test_an_output_that_is_not_there_is_an_error_that_names_it() -> None:
    view = view_of(_two_branches)
    wrong = GraphView(view, Roots(fetched=frozenset({Tensor("nowhere", 0)})))
    with pytest.raises(TfsError, match="no node `nowhere`"):
        apply("strip_unused_nodes", wrong)
