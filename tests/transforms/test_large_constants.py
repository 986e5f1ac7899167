"""Constants whose values are held apart while TensorFlow works come back as they were, wherever they stand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import numbers

from tfs.savedmodel.op_findings import all_nodes
from tfs.savedmodel.reading import meta_graph, read_saved_model
from tfs.transforms import light_session, running
from tfs.transforms.optimizing import OptimizeReport, optimize
from tfs.transforms.running import ModelRunner, open_model
from tfs.transforms.tensorflow_runtime import release_memory

_ROWS = 20_000  # of 8 bytes: a table whose keys and values are large constants too


def _save(path: Path) -> None:
    """Large constants in the graph, in a called function, in a loop's body, and in the table that the init op fills."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            keys = tf.constant(np.arange(_ROWS) * 3)
            filling = tf.lookup.KeyValueTensorInitializer(keys, tf.constant(np.arange(_ROWS)[::-1].copy()))
            self.table = tf.lookup.StaticHashTable(filling, -1)

        @tf.function
        def project(self, x: Any) -> Any:
            return x @ tf.constant(numbers(160, 160, seed=1))

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 160], tf.float32, name="x"),
                tf.TensorSpec([None], tf.int64, name="k"),
            ]
        )
        def __call__(self, x: Any, k: Any) -> Any:
            x = self.project(x) + tf.reduce_sum(tf.constant(numbers(1, 40_000, seed=2)))
            for _ in tf.range(2):
                x = tf.tanh(x @ tf.constant(numbers(160, 160, seed=3)))
            return {"y": x, "rank": self.table.lookup(k)}

    tf.saved_model.save(Model(), str(path))


@pytest.fixture(scope="module")
def optimized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, OptimizeReport]:
    folder = tmp_path_factory.mktemp("large")
    _save(folder / "1")
    return folder / "2", optimize(folder / "1", "none", output=folder / "2")


def test_every_value_is_what_it_was(optimized: tuple[Path, OptimizeReport]) -> None:
    path, report = optimized
    assert report.verification is not None
    assert report.verification.largest_difference == 0
    with open_model(path) as model:
        answer = model.answer("serving_default", {"x": numbers(1, 160), "k": np.array([0, 3, 4])})
    assert isinstance(answer, dict)
    assert answer["rank"].tolist() == [_ROWS - 1, _ROWS - 2, -1]


def test_nothing_in_the_file_tells_of_it(optimized: tuple[Path, OptimizeReport]) -> None:
    graph = meta_graph(read_saved_model(optimized[0]), optimized[0]).graph_def
    keys = {key for _, node in all_nodes(graph) for key in node.attr}
    assert not [key for key in keys if key.startswith("_tfs")]


def test_the_report_counts_them(optimized: tuple[Path, OptimizeReport]) -> None:
    weights = 2 * 160 * 160 * 4 + 40_000 * 4
    inlining = optimized[1].passes[0]
    assert weights < inlining.bytes_before
    assert weights < inlining.bytes_after


def test_a_session_of_variables_answers_as_one_of_constants(
    optimized: tuple[Path, OptimizeReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_model(optimized[0]) as model:
        assert model.holds_constants
        expected = _answer(model)
    monkeypatch.setattr(running, "_LIGHT_BYTES", 0)
    with open_model(optimized[0]) as model:
        assert not model.holds_constants
        actual = _answer(model)
    with open_model(optimized[0], as_served=True) as model:
        assert model.holds_constants
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value)


def _answer(model: ModelRunner) -> dict[str, np.ndarray]:
    answer = model.answer("serving_default", {"x": numbers(2, 160), "k": np.array([3])})
    assert isinstance(answer, dict)
    return answer


def test_weights_become_variables_unless_something_is_computed_of_them_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 160], name="x")
        weight = tf.identity(tf.constant(numbers(160, 160, seed=1), name="weight"))
        turned = tf.transpose(tf.constant(numbers(160, 160, seed=2), name="turned"))
        v1.saved_model.simple_save(session, str(tmp_path / "1"), {"x": x}, {"y": x @ weight @ turned})
    monkeypatch.setattr(running, "_LIGHT_BYTES", 0)
    with light_session.open_light_session(tmp_path / "1") as session:
        kinds = {name: session.graph.get_operation_by_name(name).type for name in ("weight", "turned")}
    assert kinds == {"weight": "ReadVariableOp", "turned": "Const"}
    assert optimize(tmp_path / "1", output=tmp_path / "2").verification is not None


def test_memory_stays_within_a_few_times_the_model(tmp_path: Path) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 1000], name="x")
        y = x
        for number in range(10):
            y = tf.tanh(y @ tf.identity(tf.constant(numbers(1000, 1000, seed=number))))
        v1.saved_model.simple_save(session, str(tmp_path / "1"), {"x": x}, {"y": y})
    del session, x, y
    release_memory()
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak()
    report = optimize(tmp_path / "1", output=tmp_path / "2")
    assert report.before.bytes > 40e6
    assert _peak() - before < 5 * report.before.bytes  # constants in a session: 12 times


def _peak() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
