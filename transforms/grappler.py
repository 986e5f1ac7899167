"""TensorFlow's own graph optimizer, called as a library."""

from collections.abc import Sequence

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import load
from tfs.transforms.graph_view import GraphView

__all__ = ["OPTIMIZERS", "run_grappler"]

# The names that TensorFlow 2.15 to 2.21 know; it ignores any other without a word.
OPTIMIZERS = frozenset(
    {
        "arithmetic",
        "auto_mixed_precision",
        "auto_mixed_precision_onednn_bfloat16",
        "common_subgraph_elimination",
        "constfold",
        "debug_stripper",
        "dependency",
        "function",
        "layout",
        "loop",
        "memory",
        "pruning",
        "remap",
        "scoped_allocator",
        "shape",
    }
)
_SESSION_OPTIMIZERS = ("function", "common_subgraph_elimination", "constfold", "shape", "arithmetic", "loop")
_CLEANING = ("dependency", "pruning")


def run_grappler(view: GraphView, optimizers: Sequence[str] = ()) -> GraphView:
    """Return the graph after the optimizers named, or after those that a session runs and a file can hold.

    Raises:
        TfsError: Grappler refuses the graph, or makes nodes that cannot be stored in a file.
    """
    from tensorflow.python.grappler import tf_optimizer

    meta_graph = load("meta_graph_pb2").MetaGraphDef(graph_def=view.graph_def)
    # What is not named here is pruned without a word, table initialisation too.
    meta_graph.collection_def["train_op"].node_list.value.extend(sorted(view.roots.names))
    config = load("config_pb2").ConfigProto()
    rewrite = config.graph_options.rewrite_options
    rewrite.min_graph_nodes = -1
    rewrite.fail_on_optimizer_errors = True
    rewrite.optimizers.extend(optimizers or (*_SESSION_OPTIMIZERS, *_CLEANING))
    try:
        optimized = tf_optimizer.OptimizeGraph(config, meta_graph, verbose=False)
    except Exception as error:  # the binding raises whatever status TensorFlow returned
        raise TfsError(f"TensorFlow's optimizer refuses the graph: {error}") from error
    internal = next((node for node in optimized.node if node.op.startswith("_")), None)
    if internal is not None:
        raise TfsError(
            f"Grappler made `{internal.name}` ({internal.op}), which no file can hold",
            "sessions make such nodes when they load a model: leave that pass out",
        )
    return GraphView(optimized.node, view.roots, optimized.library, view.versions)
