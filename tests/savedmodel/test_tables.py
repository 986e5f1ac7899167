import pytest

from tfs.savedmodel.description import describe
from tfs.savedmodel.protos import graph_pb2
from tfs.savedmodel.tables import Table, tables_of


def test_tables_say_their_dtypes_and_where_their_content_comes_from(plain_model):
    assert describe(plain_model / "3").tables == (Table("hash_table", "HashTableV2", "string", "int64", "file"),)


@pytest.mark.parametrize(
    ("op", "source"), [("InitializeTable", "tensors"), ("InitializeTableFromTextFile", "file"), ("NoOp", "unknown")]
)
def test_a_table_of_tf_1_is_filled_by_a_node_of_the_graph(op, source):
    graph = graph_pb2.GraphDef()
    table = graph.node.add(name="ids", op="HashTable")
    table.attr["key_dtype"].type, table.attr["value_dtype"].type = 9, 1
    graph.node.add(name="fill", op=op, input=["ids:0"])
    assert tables_of(graph) == [Table("ids", "HashTable", "int64", "float32", source)]
