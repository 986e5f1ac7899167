import pytest

from tfs.savedmodel.description import describe
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import graph_pb2
from tfs.savedmodel.reading import TensorInfo


@pytest.fixture
def graph_def():
    graph = graph_pb2.GraphDef()
    graph.versions.producer = 21
    x = graph.node.add(name="x", op="Placeholder")
    x.attr["dtype"].type = 1
    for size in (-1, 3):
        x.attr["shape"].shape.dim.add(size=size)
    graph.node.add(name="w", op="Const")
    product = graph.node.add(name="y", op="MatMul", input=["x", "w:0"])
    product.attr["T"].type = 1
    return graph


@pytest.mark.parametrize("name", ["frozen.pb", "frozen.pbtxt"])
def test_a_frozen_graph_is_described_with_guessed_ends(graph_def, tmp_path, name):
    file = tmp_path / name
    file.write_bytes(graph_def.SerializeToString() if name.endswith(".pb") else str(graph_def).encode())
    found = describe(file)
    assert (found.kind, found.nodes, found.graph_size, found.provenance.producer) == (
        *("frozen_graph", 3, file.stat().st_size, 21),
    )
    [signature] = found.signatures.values()
    assert signature.inputs == {"x": TensorInfo("float32", (None, 3), "x:0")}
    assert signature.outputs == {"y": TensorInfo("float32", None, "y:0")}


def test_the_file_of_a_saved_model_means_its_directory(plain_model):
    by_file = describe(plain_model / "3" / "saved_model.pb", shown_as="m")
    assert by_file == describe(plain_model / "3", shown_as="m")


def test_a_damaged_graph_is_one_line(graph_def, tmp_path):
    whole = graph_def.SerializeToString()
    for number, data in enumerate((b"", b"no protobuf", whole[:20], whole[:-1])):
        file = tmp_path / f"{number}.pb"
        file.write_bytes(data)
        with pytest.raises(TfsError, match="no GraphDef") as refused:
            describe(file)
        assert "\n" not in str(refused.value)
    (tmp_path / "frozen.pbtxt").write_text("node { name: ")
    with pytest.raises(TfsError, match="no GraphDef"):
        describe(tmp_path / "frozen.pbtxt")
