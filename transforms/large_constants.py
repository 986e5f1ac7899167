"""The values of large constants, held apart from their graph while TensorFlow loads or rewrites it.

TensorFlow copies a graph several times on the way, every constant with it. A constant without a value is one of zeros
to it, of the same dtype and shape, and costs next to nothing.
"""

import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfs.savedmodel.op_findings import all_nodes
from tfs.savedmodel.protos import load
from tfs.savedmodel.restoring import init_parts
from tfs.transforms.graph_view import GraphView, NodeDef

__all__ = ["LargeConstants", "light_saved_model"]

_LARGE = 65536  # bytes
_NUMBER = "_tfs_large_constant"
_HANDLE = "/_tfs_large_constant"
_LINKED = ("variables", "assets")


class LargeConstants:
    """The values that were taken out of a graph; each constant has the number of its own in an attribute."""

    def __init__(self) -> None:
        self._values: list[bytes] = []

    @property
    def byte_size(self) -> int:
        """What the values take together."""
        return sum(map(len, self._values))

    def take(self, meta_graph: Any, among: Container[str] | None = None) -> Any:
        """Return a copy of a MetaGraphDef without the values of its large constants; the original loses them too.

        Numbers only, and none that the init op needs: whoever loads the copy gets its variables and tables right.
        With `among` only constants of the main graph with these names.
        """
        init_nodes, init_functions = init_parts(meta_graph)
        for function, node in all_nodes(meta_graph.graph_def):
            needed = function in init_functions if function else node.name in init_nodes
            if among is not None:
                needed |= bool(function) or node.name not in among
            if node.op == "Const" and not needed and len(node.attr["value"].tensor.tensor_content) >= _LARGE:
                tensor = node.attr["value"].tensor
                node.attr[_NUMBER].i = len(self._values)
                self._values.append(tensor.tensor_content)
                tensor.ClearField("tensor_content")
        # A message gives the memory of a field back only with all of itself.
        copy = type(meta_graph)()
        copy.CopyFrom(meta_graph)
        return copy

    def put_back(self, view: GraphView) -> GraphView:
        """Return the graph, which came of the one without values, with them; they are not held any longer."""
        if not self._values:
            return view
        library = type(view.library)()
        library.CopyFrom(view.library)
        for function in library.function:
            for node in function.node_def:
                if _NUMBER in node.attr:
                    self._fill(node)
        nodes = [self._with_value(node) if _NUMBER in node.attr else node for node in view]
        self._values.clear()
        return GraphView(nodes, view.roots, library, view.versions)

    def move_into_variables(self, graph_def: Any) -> dict[str, bytes]:
        """Let each constant of the main graph that has no value be the read of a variable, under the same name.

        Returns the values by the names of the variables' handles; they are not held here any longer.
        """
        values = {}
        for node in [node for node in graph_def.node if _NUMBER in node.attr]:
            handle = graph_def.node.add(op="VarHandleOp", name=f"{node.name}{_HANDLE}", device=node.device)
            handle.attr["dtype"].CopyFrom(node.attr["dtype"])
            handle.attr["shape"].shape.CopyFrom(node.attr["value"].tensor.tensor_shape)
            handle.attr["shared_name"].s = handle.name.encode()
            values[handle.name] = self._values[node.attr[_NUMBER].i]
            node.op = "ReadVariableOp"
            node.input.insert(0, handle.name)
            del node.attr[_NUMBER], node.attr["value"]
        self._values.clear()
        return values

    def _with_value(self, node: NodeDef) -> NodeDef:
        copy = type(node)()
        copy.CopyFrom(node)
        self._fill(copy)
        return copy

    def _fill(self, node: NodeDef) -> None:
        node.attr["value"].tensor.tensor_content = self._values[node.attr[_NUMBER].i]
        del node.attr[_NUMBER]


@contextmanager
def light_saved_model(path: Path, meta_graph: Any) -> Iterator[Path]:
    """Yield a directory for TensorFlow's loaders: `meta_graph`, and the variables and assets of `path`."""
    saved_model = load("saved_model_pb2").SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph])
    with tempfile.TemporaryDirectory(prefix="tfs-optimize-") as folder:
        directory = Path(folder)
        (directory / "saved_model.pb").write_bytes(saved_model.SerializeToString())
        for name in _LINKED:
            if (path / name).exists():
                (directory / name).symlink_to((path / name).resolve())
        yield directory
