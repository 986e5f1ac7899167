from graphs import apply, assert_same_numbers, numbers, tf1, view_of


def _build() -> None:
    import tensorflow as tf

    x = tf1().placeholder(tf.float32, [2], name="x")
    for name, op in (("a", tf.exp), ("b", tf.sin)):
        x = op(x, name=name)
        x.op._set_attr("_note", tf1().AttrValue(s=b"hello"))
    tf.identity(x, name="y")


def test_the_attribute_goes_from_all_nodes() -> None:
    before = view_of(_build)
    after = apply("remove_attribute(attribute_name=_note)", before)
    assert not any("_note" in node.attr for node in after)
    assert any("_note" in node.attr for node in before)
    assert_same_numbers(before, after, {"x": numbers(2)})


def test_the_attribute_goes_from_nodes_of_one_op_only() -> None:
    after = apply("remove_attribute(attribute_name=_note, op_name=Sin)", view_of(_build))
    assert "_note" in after.nodes["a"].attr
    assert "_note" not in after.nodes["b"].attr


def test_nothing_changes_where_there_is_no_such_attribute() -> None:
    view = view_of(_build)
    assert apply("remove_attribute(attribute_name=_other)", view) is view
