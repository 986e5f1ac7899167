import numpy as np
from graphs import apply, assert_same_numbers, numbers, ops, tf1, view_of


def test_chains_of_equal_nodes_are_merged_in_one_go() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [2], name="x")
        one = tf.exp(x * tf.constant([1.0, 2.0]))
        two = tf.exp(x * tf.constant([1.0, 2.0]))
        tf.subtract(one, tf.negative(two), name="y")

    before = view_of(build)
    after = apply("merge_duplicate_nodes", before)
    assert ops(after) == {"Placeholder": 1, "Const": 1, "Mul": 1, "Exp": 1, "Neg": 1, "Sub": 1}
    assert_same_numbers(before, after, {"x": numbers(2)})


def test_constants_are_compared_by_their_bytes_whatever_form_holds_them() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [3], name="x")
        spelled = tf.constant([2.0, 2.0, 2.0], name="spelled")
        repeated = tf.constant(2.0, shape=[3], name="repeated")
        tf.identity(x * spelled + repeated, name="y")

    before = view_of(build)
    forms = [before.nodes[name].attr["value"].tensor for name in ("spelled", "repeated")]
    assert bool(forms[0].tensor_content) != bool(forms[1].tensor_content)
    after = apply("merge_duplicate_nodes", before)
    assert ops(after)["Const"] == 1
    assert_same_numbers(before, after, {"x": numbers(3)})


def test_what_differs_in_value_dtype_or_shape_stays_apart() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [1], name="x")
        parts = [tf.constant([1.0]), tf.constant([1.0000001]), tf.cast(tf.constant([1]), tf.float32), tf.constant(1.0)]
        tf.identity(x + parts[0] + parts[1] + parts[2] + parts[3], name="y")

    view = view_of(build)
    assert apply("merge_duplicate_nodes", view) is view


def test_nodes_with_state_stay_apart() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        first = tf.random.uniform([], seed=3)
        second = tf.random.uniform([], seed=3)
        tf.identity(x + first - second, name="y")

    assert ops(apply("merge_duplicate_nodes", view_of(build)))["RandomUniform"] == 2


def test_outputs_keep_their_names_and_others_merge_into_them() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        tf.constant(np.arange(4.0), name="early")
        tf.constant(np.arange(4.0), name="late")
        tf.add(tf.reduce_sum(tf1().get_default_graph().get_tensor_by_name("early:0")), tf.cast(x, tf.float64), name="y")

    before = view_of(build, fetched=("y", "late"))
    after = apply("merge_duplicate_nodes", before)
    assert "early" not in after.nodes
    assert "late" in after.nodes
    assert_same_numbers(before, after, {"x": 1.0})


def test_different_devices_are_not_merged() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        with tf.device("/CPU:0"):
            one = tf.exp(x)
        tf.add(one, tf.exp(x), name="y")

    view = view_of(build)
    assert apply("merge_duplicate_nodes", view) is view
