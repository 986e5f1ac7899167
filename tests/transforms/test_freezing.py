"""What becomes a constant, and what stays a variable."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from network_models import counter, written_by_save

from tfs.savedmodel.reading import read_signatures
from tfs.savedmodel.synthetic import generate
from tfs.transforms.loading import load_model
from tfs.transforms.optimizing import optimize
from tfs.transforms.preparing import prepare
from tfs.transforms.running import open_model
from tfs.transforms.writing import write_saved_model


def test_what_one_signature_counts_another_one_reads(tmp_path: Path) -> None:
    """Each signature has a handle of its own to the one variable."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = tf.Variable(3, name="count")

        @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="by")])
        def add(self, by: Any) -> Any:
            return {"count": self.count.assign_add(by)}

        @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="times")])
        def read(self, times: Any) -> Any:
            return {"value": self.count * times}

    model = Model()
    signatures = {name: getattr(model, name).get_concrete_function() for name in ("add", "read")}
    tf.saved_model.save(model, str(tmp_path / "1"), signatures=signatures)
    report = optimize(tmp_path / "1", output=tmp_path / "2")
    assert len(report.kept) == 1
    with open_model(tmp_path / "2") as served:
        assert served.answer("read", {"times": np.array(2, np.int32)}) == {"value": 6}
        served.answer("add", {"by": np.array(4, np.int32)})
        assert served.answer("read", {"times": np.array(2, np.int32)}) == {"value": 14}


@pytest.mark.parametrize("make", [written_by_save, counter])
def test_variables_that_a_graph_has_no_room_for_stay_variables(make: Any, tmp_path: Path) -> None:
    """The limit is 2 GB; here 50 bytes. The first model is also one that only `tf.saved_model.load` can restore."""
    make(tmp_path / "1")
    (tmp_path / "2").mkdir()
    with load_model(tmp_path / "1") as model:
        prepared = prepare(model, max_frozen_bytes=50)
        write_saved_model(model, prepared, prepared.view, {}, tmp_path / "2")
    assert len(prepared.kept) == (1 if make is written_by_save else 2)
    assert len(prepared.too_large) == (1 if make is written_by_save else 0)
    signature = read_signatures(tmp_path / "1")["serving_default"]
    inputs = generate(signature, 2, 3)
    with open_model(tmp_path / "1") as first, open_model(tmp_path / "2") as second:
        expected, actual = (served.answer("serving_default", inputs) for served in (first, second))
    assert isinstance(expected, dict)
    assert isinstance(actual, dict)
    for name, array in expected.items():
        np.testing.assert_allclose(actual[name], array, rtol=1e-6)


def test_equal_variables_are_one_constant_from_the_start(tmp_path: Path) -> None:
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (tf.Variable(np.arange(6, dtype=np.float32)) for _ in range(2))

        @tf.function(input_signature=[tf.TensorSpec([6], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            return {"y": x * self.first + self.second}

    tf.saved_model.save(Model(), str(tmp_path / "1"))
    with load_model(tmp_path / "1") as model:
        prepared = prepare(model)
    assert len(prepared.frozen) == 2
    assert sum(node.op == "Const" and node.name.endswith("/frozen") for node in prepared.view) == 1
