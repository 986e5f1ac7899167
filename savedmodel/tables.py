"""The lookup tables of a graph."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tfs.savedmodel.dtypes import dtype_name
from tfs.savedmodel.op_findings import all_nodes

__all__ = ["Table", "table_contents", "tables_of"]

_TABLES = {
    *("HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2", "MutableHashTableOfTensors"),
    *("MutableHashTableOfTensorsV2", "MutableDenseHashTable", "MutableDenseHashTableV2", "AnonymousHashTable"),
}
_STRING = 7  # DT_STRING
_FILLERS = {
    **dict.fromkeys(("InitializeTableFromTextFile", "InitializeTableFromTextFileV2"), "file"),
    **dict.fromkeys(("InitializeTable", "InitializeTableV2", "LookupTableImport", "LookupTableImportV2"), "tensors"),
}


@dataclass(frozen=True)
class Table:
    """A lookup table.

    Attributes:
        name: of its node.
        op: which kind of table.
        key_dtype: of the keys; empty if the graph does not say.
        value_dtype: of the values; likewise.
        source: `file`, `tensors` or `unknown`: where its content comes from.
    """

    name: str
    op: str
    key_dtype: str
    value_dtype: str
    source: str


def tables_of(graph_def: Any) -> list[Table]:
    """Return the lookup tables of a GraphDef, in the order of their nodes; nodes that share a table are one."""
    sources = dict(_filled(graph_def))
    tables: dict[str, Table] = {}
    for _, node in all_nodes(graph_def):
        if node.op in _TABLES:
            # TF 2 has another node of the same shared name in the function that would make the table anew.
            shared = node.attr["shared_name"].s.decode() if "shared_name" in node.attr else ""
            key, value = (dtype_name(node.attr[k].type) if k in node.attr else "" for k in ("key_dtype", "value_dtype"))
            source = sources.get(node.name, "unknown")
            tables.setdefault(shared or node.name, Table(node.name, node.op, key, value, source))
    return list(tables.values())


def table_contents(graph_def: Any) -> list[bytes]:
    """Return the strings in constants that tables of a GraphDef are filled from, in their order."""
    from tfs.savedmodel.tensors import array_from_proto  # with numpy, which the tables' names do not need

    constants = {node.name: node for node in graph_def.node if node.op == "Const"}
    fillers = {f.signature.name for f in graph_def.library.function if any(n.op in _FILLERS for n in f.node_def)}
    words: list[bytes] = []
    for _, node in all_nodes(graph_def):
        if node.op in _FILLERS or ("f" in node.attr and node.attr["f"].func.name in fillers):
            for source in node.input:
                constant = constants.get(source.split(":")[0])
                if constant is not None and constant.attr["dtype"].type == _STRING:
                    words += array_from_proto(constant.attr["value"].tensor).ravel().tolist()
    return words


def _filled(graph_def: Any) -> Iterator[tuple[str, str]]:
    """Yield the name of each table's node that an initializer fills, directly or as the argument of a function."""
    arguments = {}
    for function in graph_def.library.function:
        names = [argument.name for argument in function.signature.input_arg]
        for node in function.node_def:
            if node.op in _FILLERS and node.input[0] in names:
                arguments[function.signature.name] = (names.index(node.input[0]), _FILLERS[node.op])
    for _, node in all_nodes(graph_def):
        if node.op in _FILLERS and node.input:
            yield node.input[0].split(":")[0], _FILLERS[node.op]
        called = node.attr["f"].func.name if "f" in node.attr else ""
        if called in arguments and arguments[called][0] < len(node.input):
            position, source = arguments[called]
            yield node.input[position].split(":")[0], source
