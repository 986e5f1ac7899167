"""Building tiny graphs, running them, and comparing numbers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfs.transforms.graph_pass import GraphPass, PassResult
from tfs.transforms.graph_view import GraphView, Roots, Tensor
from tfs.transforms.pipeline import run_passes
from tfs.transforms.registry import Step, steps_of


def tf1() -> Any:
    import tensorflow as tf

    return tf.compat.v1


def view_of(build: Callable[[], None], *, fed: Sequence[str] = ("x",), fetched: Sequence[str] = ("y",)) -> GraphView:
    """Return the graph that `build` makes in a fresh tf.Graph, with nodes `fed` and `fetched` (`name` or `name:k`)."""
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        build()
    roots = Roots(frozenset(map(Tensor.parse, fed)), frozenset(map(Tensor.parse, fetched)))
    return GraphView.of(graph.as_graph_def(), roots)


def run(view: GraphView, feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Run a view's fetched tensors in a session that does not optimize."""
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(view.graph_def, name="")
    fetches = {str(t): graph.get_tensor_by_name(f"{t.node}:{t.port}") for t in view.roots.fetched}
    with tf.compat.v1.Session(graph=graph) as session:
        return dict(session.run(fetches, {f"{name}:0": value for name, value in feeds.items()}))


def apply(transforms: str, view: GraphView) -> GraphView:
    """Run a transform string through the pipeline, which checks every invariant."""
    return run_passes(view, steps_of(transforms))[0]


def result_of(graph_pass: GraphPass, view: GraphView) -> PassResult:
    """Run one pass; the pipeline has checked its invariants by then."""
    run_passes(view, [Step(graph_pass)])
    return graph_pass(view)


def ops(view: GraphView) -> Counter[str]:
    """Count the ops of the main graph."""
    return Counter(node.op for node in view)


def reasons(result: PassResult) -> str:
    """Return all reasons for leaving something alone, as one text."""
    return "\n".join(f"{skip.node}: {skip.reason}" for skip in result.skipped)


def assert_same_numbers(before: GraphView, after: GraphView, feeds: Mapping[str, Any], rtol: float = 1e-5) -> None:
    """Compare every fetched tensor, floats relative to their largest value."""
    expected, actual = run(before, feeds), run(after, feeds)
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        assert value.dtype == actual[name].dtype
        assert value.shape == actual[name].shape
        if value.dtype.kind in "fcV":
            wide = value.astype(np.float64)
            np.testing.assert_allclose(actual[name].astype(np.float64), wide, rtol=0, atol=rtol * np.abs(wide).max())
        else:
            np.testing.assert_array_equal(actual[name], value)


def numbers(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """Return float32 values, the same for the same arguments."""
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)
