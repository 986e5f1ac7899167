import numpy as np
import pytest
from graphs import apply, assert_same_numbers, numbers, ops, reasons, result_of, run, tf1, view_of

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_view import GraphView
from tfs.transforms.passes.fold_constants import FoldConstants


def _batch_norm_statistics() -> None:
    import tensorflow as tf

    x = tf1().placeholder(tf.float32, [None, 3], name="x")
    variance, gamma = tf.constant([1.0, 4.0, 9.0]), tf.constant([1.0, 2.0, 3.0])
    tf.identity(x * (tf.math.rsqrt(variance + 1e-3) * gamma), name="y")


def test_what_depends_on_no_input_is_computed_once() -> None:
    before = view_of(_batch_norm_statistics)
    after = apply("fold_constants", before)
    assert ops(after) == {"Placeholder": 1, "Const": 1, "Mul": 1, "Identity": 1}
    assert_same_numbers(before, after, {"x": numbers(2, 3)})


@pytest.mark.parametrize(("fed", "fetched"), [("x", "y"), ("x:0", "y:0")])
def test_inputs_and_outputs_may_be_named_with_or_without_their_port(fed: str, fetched: str) -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        other = tf1().placeholder(tf.float32, [], name="x_1")
        tf.identity(x * 2.0 + tf.exp(1.0), name="y")
        tf.negative(other, name="unused")

    after = apply("fold_constants", view_of(build, fed=(fed,), fetched=(fetched,)))
    assert "x_1" not in after.nodes
    np.testing.assert_allclose(run(after, {"x": 1.0})["y"], 2 + np.e, rtol=1e-6)


def test_an_output_that_is_constant_keeps_its_name() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        tf.identity(x, name="z")
        tf.exp(tf.constant([1.0, 2.0]), name="y")

    before = view_of(build, fetched=("y", "z"))
    after = apply("fold_constants", before)
    assert after.nodes["y"].op == "Const"
    assert_same_numbers(before, after, {"x": 1.0})


def test_nodes_with_several_outputs_give_a_constant_for_each_that_is_read() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [2], name="x")
        first, _, third = tf.split(tf.constant([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), 3)
        tf.identity(x * first + third, name="y")

    before = view_of(build)
    after = apply("fold_constants", before)
    assert ops(after)["Const"] == 2
    assert_same_numbers(before, after, {"x": numbers(2)})


def test_strings_are_kept_byte_for_byte() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.string, [], name="x")
        tf.strings.join([x, tf.strings.join([tf.constant(b"a\0"), tf.constant(b"\xff\0")])], name="y")

    before = view_of(build)
    after = apply("fold_constants", before)
    assert ops(after)["StringJoin"] == 1
    assert run(after, {"x": b"-"})["y"] == b"-a\0\xff\0"


@pytest.mark.parametrize("argument", ["exclude_op=Rsqrt", "exclude_node=Rsqrt"])
def test_excluded_nodes_stay_and_what_feeds_them_is_folded(argument: str) -> None:
    before = view_of(_batch_norm_statistics)
    after = apply(f"fold_constants({argument})", before)
    assert ops(after) == {"Placeholder": 1, "Const": 2, "Rsqrt": 1, "Mul": 2, "Identity": 1}
    assert_same_numbers(before, after, {"x": numbers(2, 3)})


def test_results_above_the_size_limit_stay_and_are_reported() -> None:
    result = result_of(FoldConstants(max_constant_size_in_bytes=10), view_of(_batch_norm_statistics))
    assert ops(result.view)["Const"] == ops(view_of(_batch_norm_statistics))["Const"]
    assert "its result has 12 bytes, more than max_constant_size_in_bytes=10" in reasons(result)


def test_random_and_stateful_nodes_stay() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        tf.add(x, tf.reduce_sum(tf.random.uniform([3])), name="y")

    after = apply("fold_constants", view_of(build))
    assert ops(after)["RandomUniform"] == 1
    assert run(after, {"x": 0.0})["y"] != run(after, {"x": 0.0})["y"]


def test_known_shapes_become_constants_and_unknown_ones_stay() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [2, 5], name="x")
        z = tf1().placeholder(tf.float32, [None, 5], name="z")
        known = tf.stack([tf.shape(x)[0], tf.size(x), tf.rank(z)])
        tf.concat([known, tf.shape(z)], 0, name="y")

    before = view_of(build, fed=("x", "z"))
    after = apply("fold_constants", before)
    assert (ops(after)["Shape"], ops(after)["Size"], ops(after)["Rank"], ops(after)["Pack"]) == (1, 0, 0, 0)
    assert_same_numbers(before, after, {"x": numbers(2, 5), "z": numbers(4, 5)})


def test_stale_output_shapes_do_no_harm() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [2, 5], name="x")
        y = tf.identity(tf.shape(x), name="y")
        shapes = tf1().AttrValue()
        shapes.list.shape.add().dim.add(size=7)
        y.op._set_attr("_output_shapes", shapes)

    before = view_of(build)
    after = apply("fold_constants", before)
    assert "_output_shapes" not in after.nodes["y"].attr
    assert list(run(after, {"x": numbers(2, 5)})["y"]) == [2, 5]


def test_a_default_that_nobody_feeds_becomes_constant_and_chooses_the_branch() -> None:
    """A `phase_train` flag, tensorflow issue 19683."""

    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        training = tf1().placeholder_with_default(False, [], name="phase_train")
        tf1().disable_control_flow_v2()
        y = tf1().cond(training, lambda: tf.exp(x), lambda: x + tf.sqrt(tf.constant(4.0)))
        tf1().enable_control_flow_v2()
        tf.identity(y, name="y")

    before = view_of(build)
    after = apply("fold_constants remove_nodes(op=Identity)", before)
    assert ops(after) == {"Placeholder": 1, "Const": 1, "AddV2": 1, "Identity": 1}
    assert_same_numbers(before, after, {"x": 3.0})


def test_a_default_that_a_signature_feeds_stays() -> None:
    def build() -> None:
        import tensorflow as tf

        tf.multiply(tf1().placeholder_with_default(2.0, [], name="x"), 3.0, name="y")

    after = apply("fold_constants", view_of(build))
    assert after.nodes["x"].op == "PlaceholderWithDefault"
    assert run(after, {})["y"] == 6
    assert run(after, {"x": 5.0})["y"] == 15


@pytest.mark.parametrize("training", [True, False])
def test_an_if_with_a_constant_predicate_becomes_its_branch(training: bool) -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        flag = tf1().placeholder_with_default(training, [], name="flag")
        tf.identity(tf.cond(flag, lambda: tf.exp(x), lambda: x - 1.0), name="y")

    before = view_of(build)
    after = apply("fold_constants strip_unused_nodes", before)
    assert ops(before)["If"] + ops(before)["StatelessIf"] == 1
    assert (ops(after)["Exp"], ops(after)["Sub"]) == ((1, 0) if training else (0, 1))
    assert not after.library.function
    assert_same_numbers(before, after, {"x": 3.0})


def test_the_bodies_of_loops_are_folded_too() -> None:
    import tensorflow as tf

    def build() -> None:
        x = tf1().placeholder(tf.float32, [], name="x")
        found = tf.while_loop(lambda v: v < 10.0, lambda v: v * tf.sqrt(tf.constant(4.0)), [x])
        tf.identity(found[0], name="y")

    def roots(view: GraphView) -> int:
        return sum(node.op == "Sqrt" for function in view.library.function for node in function.node_def)

    before = view_of(build)
    after = apply("fold_constants", before)
    assert (roots(before), roots(after)) == (1, 0)
    assert_same_numbers(before, after, {"x": 1.5})


def _loop(change_weights: bool, read_elsewhere: bool) -> GraphView:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [20], name="x")
        weights = tf.constant(numbers(20, 20) / 8)

        def step(v: object, w: object, n: object) -> tuple[object, object, object]:
            return tf.linalg.matvec(w, v) + 1.0, w * 0.5 if change_weights else w, n + 1  # type: ignore[operator]

        first = tf.while_loop(lambda v, w, n: n < 4, step, [x, weights, 0])
        last = tf.while_loop(lambda v, w, n: n < 4, step, [first[0], weights, 0])
        tf.add(last[0], tf.reduce_sum(weights) if read_elsewhere else tf.cast(first[2], tf.float32), name="y")

    return view_of(build)


def _loop_arguments(view: GraphView) -> list[int]:
    return [len(node.attr["T"].list.type) for node in view if node.op in ("While", "StatelessWhile")]


def test_constants_that_a_loop_passes_on_move_into_its_body() -> None:
    before = _loop(change_weights=False, read_elsewhere=False)
    # Two loops trace two bodies: as long as both read the constant, moving it would store it twice.
    after = apply("fold_constants", before)
    assert _loop_arguments(after) < _loop_arguments(before)
    assert_same_numbers(before, after, {"x": numbers(20)})


@pytest.mark.parametrize(("change_weights", "read_elsewhere"), [(True, False), (False, True)])
def test_loop_arguments_that_change_or_are_read_elsewhere_stay(change_weights: bool, read_elsewhere: bool) -> None:
    before = _loop(change_weights, read_elsewhere)
    after = apply("fold_constants", before)
    kernels = [n for f in after.library.function for n in f.node_def if n.op == "Const" and n.ByteSize() > 20 * 20 * 4]
    assert not kernels
    assert_same_numbers(before, after, {"x": numbers(20)})


def test_a_computation_that_fails_stays_and_is_reported() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.int32, [], name="x")
        bad = tf.raw_ops.FloorDiv(x=tf.constant(1), y=tf.constant(0), name="bad")
        tf.add(tf.cast(x + bad, tf.float32), tf.exp(1.0), name="y")

    result = result_of(FoldConstants(), view_of(build))
    assert "bad: computing it fails" in reasons(result)
    assert ops(result.view)["FloorDiv"] == 1
    assert ops(result.view)["Exp"] == 0


def test_effects_keep_their_order() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        check = tf.raw_ops.Assert(condition=x > 0, data=[x], name="check")
        with tf.control_dependencies([check]):
            after_check = tf.constant(1.0)
        with tf.control_dependencies([tf.constant(5.0)]):
            tf.add(x, after_check, name="y")

    after = apply("fold_constants", view_of(build))
    assert run(after, {"x": 1.0})["y"] == 2
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError):
        run(after, {"x": -1.0})
    assert not any(text.startswith("^") for text in after.nodes["y"].input)


def test_a_constant_is_not_copied_for_an_identity_that_waits() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        weights = tf.constant([1.0, 2.0])
        check = tf.raw_ops.Assert(condition=x > 0, data=[x], name="check")
        with tf.control_dependencies([check]):
            late = tf.identity(tf.identity(weights))
        tf.add(x * weights, late, name="y")

    after = apply("fold_constants", view_of(build))
    vectors = [node.name for node in after if node.op == "Const" and node.attr["value"].tensor.tensor_shape.dim]
    assert vectors == ["Const"]
    assert run(after, {"x": 1.0})["y"].tolist() == [2, 4]
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError):
        run(after, {"x": -1.0})


def test_a_graph_that_tensorflow_refuses_is_an_error_that_names_the_transform() -> None:
    view = view_of(_batch_norm_statistics)
    broken = apply("remove_attribute(attribute_name=T, op_name=Rsqrt)", view)
    with pytest.raises(TfsError, match=r"transform `fold_constants` failed: .*Rsqrt"):
        apply("fold_constants", broken)
    assert apply("fold_constants(ignore_errors=true)", broken) is broken
