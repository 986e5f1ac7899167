"""Names, ops, attributes and devices changed; order and control edges."""

from typing import Any

import numpy as np
import pytest
from graphs import apply, assert_same_numbers, numbers, ops, run, tf1, view_of

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_view import GraphView, Roots, Tensor, node_def
from tfs.transforms.ops import op_definition
from tfs.transforms.pipeline import run_passes
from tfs.transforms.registry import steps_of

_X = {"x": numbers(2, 3)}


def _view(*, stale: bool = False) -> GraphView:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 3], name="x")
        with tf.device("/device:CPU:0"):
            a, b = tf.split(tf.matmul(x, numbers(3, 4), name="product"), 2, axis=1, name="parts")
        with tf.control_dependencies([tf.raw_ops.Assert(condition=x[0, 0] < 2, data=[x], name="check")]):
            tf.multiply(tf.exp(b, name="e"), a, name="y")

    return view_of(build)


def test_rename_node_is_followed_by_readers_ports_and_control_edges() -> None:
    before = _view()
    names = {"parts": "halves", "check": "c"}
    text = " ".join(f"rename_node(old_node_name={old}, new_node_name={new})" for old, new in names.items())
    after = apply(text, before)
    assert "parts" not in after.nodes
    assert list(after.nodes["e"].input) == ["halves:1", "^c"]
    assert_same_numbers(before, after, _X)


def test_a_renamed_output_is_reported_and_has_its_new_name_in_the_roots() -> None:
    view, [report] = run_passes(_view(), steps_of("rename_node(old_node_name=y, new_node_name=scores)"))
    assert report.renamed == {"y": "scores"}
    assert view.roots.fetched == {Tensor("scores", 0)}


@pytest.mark.parametrize(
    ("old", "new", "words"), [("nowhere", "z", "no node `nowhere`"), ("e", "x", "has a node `x` already")]
)
def test_rename_node_refuses_unknown_and_taken_names(old: str, new: str, words: str) -> None:
    with pytest.raises(TfsError, match=words):
        apply(f"rename_node(old_node_name={old}, new_node_name={new})", _view())


def test_rename_op_and_rename_attribute_change_all_or_the_nodes_of_one_op() -> None:
    assert ops(apply("rename_op(old_op_name=Exp, new_op_name=Tanh)", _view()))["Tanh"] == 1
    after = apply("rename_attribute(old_attribute_name=T, new_attribute_name=U, op_name=Exp)", _view())
    assert [node.op for node in after if "U" in node.attr and "T" not in node.attr] == ["Exp"]
    every = apply("rename_attribute(old_attribute_name=T, new_attribute_name=U)", _view())
    assert not any("T" in node.attr for node in every)


def test_obfuscated_names_are_short_and_inputs_and_outputs_keep_theirs() -> None:
    """The old tool lost inputs that were written with a port (`x:0`)."""
    before = _view()
    after = apply("obfsucate_names", before)
    assert {"x", "y"} < after.nodes.keys()
    assert all(len(name) == 1 for name in after.nodes)
    assert_same_numbers(before, after, _X)


def test_obfuscated_tables_keep_what_they_are_shared_by() -> None:
    def build() -> None:
        import tensorflow as tf

        tf.raw_ops.HashTableV2(key_dtype=tf.int64, value_dtype=tf.float32, use_node_name_sharing=True, name="table")
        tf.identity(tf1().placeholder(tf.float32, [], name="x"), name="y")

    [table] = [node for node in apply("obfuscate_names", view_of(build)) if node.op == "HashTableV2"]
    assert table.attr["shared_name"].s == b"table"
    assert table.name != "table"


def test_obfuscation_takes_no_name_that_is_in_use() -> None:
    view = GraphView(
        [
            node_def("Placeholder", "0"),
            node_def("Exp", "long", [Tensor("0", 0)]),
            node_def("Exp", "1", [Tensor("long", 0)]),
        ],
        Roots(frozenset({Tensor("0", 0)}), frozenset({Tensor("1", 0)})),
    )
    assert set(apply("obfuscate_names", view).nodes) == {"0", "1", "2"}


def test_wishes_for_a_place_follow_a_renamed_node() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        e = tf.exp(x, name="e")
        with tf1().colocate_with(e):
            tf.exp(e, name="y")

    after = apply("rename_node(old_node_name=e, new_node_name=first)", view_of(build))
    assert list(after.nodes["y"].attr["_class"].list.s) == [b"loc:@first"]


def test_devices_are_cleared_set_or_filled_in() -> None:
    view = _view()
    assert view.nodes["parts"].device
    assert {node.device for node in apply("remove_device", view)} == {""}
    assert {node.device for node in apply('set_device(device="/device:CPU:1")', view)} == {"/device:CPU:1"}
    filled = apply('set_device(device="/device:CPU:1", if_default=true)', view)
    assert {node.device for node in filled} == {view.nodes["parts"].device, "/device:CPU:1"}


def test_control_edges_go_but_for_those_of_the_init_op() -> None:
    view = _view()
    nodes = [*view, node_def("NoOp", "init", [Tensor("check", -1)])]
    rooted = GraphView(nodes, Roots(view.roots.fed, view.roots.fetched, frozenset({"init"}), "init"), view.library)
    after = apply("remove_control_dependencies", rooted)
    assert [node.name for node in after if any(text.startswith("^") for text in node.input)] == ["init"]
    assert_same_numbers(view, apply("remove_control_dependencies strip_unused_nodes", view), _X)


def test_nodes_are_put_behind_what_they_read() -> None:
    view = _view()
    shuffled = GraphView([*view][::-1], view.roots, view.library, view.versions)
    after = apply("sort_by_execution_order", shuffled)
    seen: set[str] = set()
    for node in after:
        assert {Tensor.parse(text).node for text in node.input} <= seen
        seen.add(node.name)
    assert_same_numbers(view, after, _X)


def test_a_cycle_has_no_order() -> None:
    nodes = [node_def("Exp", "a", [Tensor("b", 0)]), node_def("Exp", "b", [Tensor("a", 0)])]
    with pytest.raises(TfsError, match="depends on itself"):
        apply("sort_by_execution_order", GraphView(nodes, Roots()))


def test_default_attributes_are_written_out_and_unknown_ops_named() -> None:
    view = _view()
    bare = apply("remove_attribute(attribute_name=transpose_a)", view)
    after = apply("add_default_attributes", bare)
    assert "transpose_a" in after.nodes["product"].attr
    for node in after:
        assert all(a.name in node.attr for a in op_definition(node.op).attr if a.HasField("default_value"))
    with pytest.raises(TfsError, match="node `n` is of op Nonsense, which is not registered"):
        apply("add_default_attributes", GraphView([node_def("Nonsense", "n")], Roots()))


def test_logging_is_put_behind_the_nodes_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    before = _view()
    which = "op=Split, op=Exp, prefix=pa"
    after = apply(f'insert_logging({which}, show_op=true, show_name=true, message="values: ")', before)
    assert [node.name for node in after if node.op == "Print"] == ["parts__print__"]
    # `parts` is read at both outputs; only the readers of the first are moved.
    assert list(after.nodes["e"].input) == ["parts:1", "^check"]
    assert_same_numbers(before, after, _X)
    assert ";Split;;parts__print__;values: [" in capfd.readouterr().err


def test_logging_of_outputs_that_nobody_reads_is_valid() -> None:
    """The old tool listed the types of all outputs, also of those that were not among the data."""

    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [4], name="x")
        tf.identity(tf.raw_ops.Unique(x=x, name="unique").y, name="y")

    before = view_of(build)
    after = apply("insert_logging(op=Unique, first_n=0)", before)
    assert ops(after)["Print"] == 1
    assert_same_numbers(before, after, {"x": np.array([1, 2, 1, 2], np.float32)})


def test_calls_that_are_left_are_inlined() -> None:
    import tensorflow as tf

    @tf.function
    def double(x: Any) -> Any:
        return x * 2.0

    def build() -> None:
        tf.identity(double(tf1().placeholder(tf.float32, [], name="x")), name="y")

    before = view_of(build)
    after = apply("inline_partitionedcall", before)
    assert not ops(after).keys() & {"PartitionedCall", "StatefulPartitionedCall"}
    assert run(after, {"x": 4.0}) == {"y": np.float32(8)}
