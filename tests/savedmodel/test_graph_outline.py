from tfs.savedmodel.graph_outline import OutlineNode, constant_sizes, outline_of
from tfs.savedmodel.protos import graph_pb2, types_pb2


def _graph():
    graph = graph_pb2.GraphDef()
    graph.node.add(name="x", op="Placeholder")
    graph.node.add(name="call", op="StatefulPartitionedCall", input=["x:0", "x", "^done", "gone"])
    graph.node[-1].attr["f"].func.name = "body"
    graph.node.add(name="done", op="NoOp")
    graph.node.add(name="pick", op="Case", input=["x"])
    graph.node[-1].attr["branches"].list.func.add(name="body")
    graph.node[-1].attr["branches"].list.func.add(name="other")
    graph.node.add(name="as_op", op="other")
    body = graph.library.function.add()
    body.signature.name = "body"
    body.signature.input_arg.add(name="a", type=types_pb2.DT_FLOAT)
    body.signature.input_arg.add(name="v", type=types_pb2.DT_RESOURCE)
    body.node_def.add(name="c", op="Const")
    body.node_def[-1].attr["value"].tensor.tensor_content = bytes(1000)
    body.node_def.add(name="sum", op="AddV2", input=["a", "c:output:0"])
    body.ret["y"] = "sum:z:0"
    graph.library.function.add().signature.name = "other"
    return graph


def test_inputs_controls_and_calls_are_positions():
    graph, body, other = outline_of(_graph()).scopes
    assert (graph.name, body.name, other.name, other.nodes) == ("", "body", "other", ())
    assert graph.nodes == (
        OutlineNode("x", "Placeholder"),
        OutlineNode("call", "StatefulPartitionedCall", (0,), (2,), (1,)),
        OutlineNode("done", "NoOp"),
        OutlineNode("pick", "Case", (0,), (), (1, 2)),
        OutlineNode("as_op", "other", (), (), (2,)),
    )
    assert body.nodes == (
        OutlineNode("a", "Arg"),
        OutlineNode("v", "ResourceArg"),
        OutlineNode("c", "Const"),
        OutlineNode("sum", "AddV2", (0, 2)),
        OutlineNode("y", "Return", (3,)),
    )


def test_constants_have_their_bytes_and_the_name_of_their_function():
    [(name, size)] = constant_sizes(_graph()).items()
    assert name == "body/c"
    assert 1000 <= size <= 1010
