import pytest
from graphs import apply, assert_same_numbers, numbers, ops, reasons, result_of, tf1, view_of

from tfs.transforms.passes.remove_nodes import RemoveNodes


def test_readers_go_to_the_first_input_with_its_port() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [2, 4], name="x")
        second = tf.split(x, 2, axis=1, name="split")[1]
        tf.negative(tf.identity(tf.identity(second)), name="y")

    before = view_of(build)
    after = apply("remove_nodes(op=Identity)", before)
    assert list(after.nodes["y"].input) == ["split:1"]
    assert_same_numbers(before, after, {"x": numbers(2, 4)})


def test_outputs_of_an_identityn_go_to_its_inputs_one_by_one() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [2], name="x")
        one, two = tf.identity_n([tf.exp(x), tf.sin(x)])
        tf.subtract(one, two, name="y")

    before = view_of(build)
    after = apply("remove_nodes(op=IdentityN)", before)
    assert ops(after)["IdentityN"] == 0
    assert_same_numbers(before, after, {"x": numbers(2)})


def test_inputs_and_outputs_stay() -> None:
    def build() -> None:
        import tensorflow as tf

        tf.identity(tf1().placeholder(tf.float32, [2], name="x"), name="y")

    view = view_of(build)
    assert apply("remove_nodes(op=Identity, op=Placeholder)", view) is view


def test_a_node_with_more_inputs_than_allowed_stays_and_the_report_says_so() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [2], name="x")
        tf.identity(tf.add_n([x, x], name="sum"), name="y")

    view = view_of(build)
    result = result_of(RemoveNodes(op=("AddN",)), view)
    assert result.view is view
    assert "sum: it has 2 data inputs, more than max_inputs=1" in reasons(result)
    assert "AddN" not in ops(apply("remove_nodes(op=AddN, max_inputs=2)", view))


def test_control_edges_survive_behind_the_data_inputs() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        check = tf.raw_ops.Assert(condition=x > 0, data=[x], name="check")
        with tf.control_dependencies([check]):
            checked = tf.identity(x, name="checked")
        with tf.control_dependencies([checked]):
            waiting = tf.constant(1.0, name="waiting")
        tf.add(checked, waiting, name="y")

    before = view_of(build)
    after = apply("remove_nodes(op=Identity)", before)
    assert "checked" not in after.nodes
    assert "^check" in after.nodes["y"].input
    assert list(after.nodes["y"].input)[:2] == ["x", "waiting"]
    assert set(after.nodes["waiting"].input) == {"^x", "^check"}
    assert_same_numbers(before, after, {"x": 2.0})


@pytest.mark.parametrize("flag", [True, False])
def test_identities_that_steer_old_style_conditionals_stay(flag: bool) -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        p = tf1().placeholder(tf.bool, [], name="p")
        tf1().disable_control_flow_v2()
        tf.identity(tf1().cond(p, lambda: x * 2.0, lambda: x - 1.0), name="y")
        tf1().enable_control_flow_v2()

    before = view_of(build, fed=("x", "p"))
    after = apply("remove_nodes(op=Identity)", before)
    assert ops(before)["Identity"] > ops(after)["Identity"] > 1
    assert_same_numbers(before, after, {"x": 3.0, "p": flag})


def test_the_bodies_of_loops_are_cleaned_too() -> None:
    import tensorflow as tf

    def build() -> None:
        x = tf1().placeholder(tf.float32, [], name="x")
        found = tf.while_loop(lambda v: v < 10.0, lambda v: tf.identity(tf.identity(v)) * 2.0, [x])
        tf.identity(found[0], name="y")

    def identities(view: object) -> int:
        return sum(n.op == "Identity" for f in view.library.function for n in f.node_def)  # type: ignore[attr-defined]

    before = view_of(build)
    after = apply("remove_nodes(op=Identity)", before)
    assert identities(after) < identities(before)
    assert_same_numbers(before, after, {"x": 1.5})
