from hypothesis import given, settings
from hypothesis import strategies as st

from tfs.savedmodel.protos import load
from tfs.savedmodel.streaming import field_size, saved_model_chunks, saved_model_size


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 40_000), max_size=5), st.sampled_from(["", "a library function", "f" * 20_000]))
def test_the_pieces_are_the_message(sizes: list[int], function: str) -> None:
    meta_graph = load("meta_graph_pb2").MetaGraphDef()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.signature_def["serving_default"].method_name = "tensorflow/serving/predict"
    meta_graph.graph_def.versions.producer = 22
    if function:
        meta_graph.graph_def.library.function.add().signature.name = function
    nodes = [load("node_def_pb2").NodeDef(name=f"n{index}", op="x" * size) for index, size in enumerate(sizes)]
    written = b"".join(saved_model_chunks(meta_graph, nodes))
    assert len(written) == saved_model_size(meta_graph, nodes)
    read = load("saved_model_pb2").SavedModel.FromString(written)
    meta_graph.graph_def.node.extend(nodes)
    assert read == load("saved_model_pb2").SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph])


@settings(deadline=None)
@given(st.integers(0, 100_000))
def test_a_field_has_the_size_that_protobuf_gives_it(size: int) -> None:
    function = load("function_pb2").FunctionDefLibrary()
    function.function.add().signature.name = "n" * size
    inner = function.function[0].ByteSize()
    assert function.ByteSize() == field_size(inner)
