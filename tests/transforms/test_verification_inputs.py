"""What original and result are asked: the user's samples, and ids that the model's tables have."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graphs import numbers

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.input_hints import read_hints
from tfs.savedmodel.reading import read_signatures
from tfs.transforms.comparing import MismatchError
from tfs.transforms.optimizing import optimize
from tfs.transforms.verification_inputs import Samples, verification_requests


def _save(path: Path) -> Path:
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = tf.Variable(numbers(7, 3, low=0.1))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.int64, name="ids")])
        def __call__(self, ids: Any) -> Any:
            return {"y": tf.nn.relu(tf.gather(self.rows, ids) - 100.0 * tf.cast(ids[..., None] >= 5, tf.float32))}

    tf.saved_model.save(Model(), str(path))
    return path


def test_strings_are_words_that_the_model_s_tables_know(saved_models: Callable[[str], Path]) -> None:
    """Words that no table has would all become one id, and hide what happens to the others."""
    path = saved_models("vocabulary")
    signatures = read_signatures(path)
    requests, _ = verification_requests(path, signatures, Samples(read_hints(path)), [])
    words = {word for request in requests for word in request.inputs["words"].ravel().tolist()}
    assert b"movie" in words  # the others are in every vocabulary
    report = optimize(path, dry_run=True)
    assert report.verification is not None
    assert report.verification.source == "generated inputs"


def test_a_mistake_behind_a_high_id_is_found(tmp_path: Path) -> None:
    """With ids 0 and 1 alone the activation does nothing."""
    with pytest.raises(MismatchError, match="output `y`"):
        optimize(_save(tmp_path / "1"), "remove_nodes(op=Relu)", output=tmp_path / "2")
    report = optimize(tmp_path / "1", output=tmp_path / "2")
    assert report.verification is not None
    assert not any("one value throughout" in note for note in report.verification.notes)
    assert [(entry.signature, entry.output) for entry in report.verification.outputs] == [("serving_default", "y")]
    assert [entry.batch_size for entry in report.verification.latencies] == [1, 32]


def test_the_user_s_samples_are_compared(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    samples.write_text("\n".join(json.dumps({"instances": [[row] * 4]}) for row in range(7)))
    report = optimize(_save(tmp_path / "1"), output=tmp_path / "2", verify_data=samples, dry_run=True)
    assert report.verification is not None
    assert (report.verification.source, report.verification.requests) == (f"`{samples}`", 7)
    assert report.output is None
    assert not (tmp_path / "2").exists()
    samples.write_text('{"instances": [["one", "two"]]}')
    with pytest.raises(TfsError, match=r"samples.jsonl` line 1"):
        optimize(tmp_path / "1", output=tmp_path / "2", verify_data=samples)
    with pytest.raises(TfsError, match="does not exist"):
        optimize(tmp_path / "1", output=tmp_path / "2", verify_data=tmp_path / "nothing.npz")


def test_a_result_that_is_not_compared_is_served_once_all_the_same(tmp_path: Path) -> None:
    import tensorflow as tf

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            return {"y": tf.reshape(x, [-1, 4]) @ numbers(4, 3)}

    tf.saved_model.save(Model(), str(tmp_path / "1"))
    with pytest.raises(MismatchError, match="signature `serving_default` fails in the result"):
        optimize(tmp_path / "1", "remove_nodes(op=Reshape, max_inputs=2)", output=tmp_path / "2", verification=None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]


def test_lossy_presets_have_a_tolerance_of_their_own(tmp_path: Path) -> None:
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(numbers(64, 64))

        @tf.function(input_signature=[tf.TensorSpec([None, 64], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            return {"y": x @ self.weights}

    tf.saved_model.save(Model(), str(tmp_path / "1"))
    report = optimize(tmp_path / "1", "size", output=tmp_path / "2")
    assert report.verification is not None
    assert 1e-4 < report.verification.largest_difference < 0.05
    assert report.after.bytes < 0.5 * report.before.bytes


def test_renamed_outputs_are_found_by_the_signature(tmp_path: Path) -> None:
    [output] = read_signatures(_save(tmp_path / "1"))["serving_default"].outputs.values()
    old = output.name.partition(":")[0]
    names = f"rename_node(old_node_name={old}, new_node_name=scores) rename_node(old_node_name=scores, new_node_name=z)"
    optimize(tmp_path / "1", names, output=tmp_path / "2")
    [output] = read_signatures(tmp_path / "2")["serving_default"].outputs.values()
    assert output.name == "z:0"


def test_provenance_is_appended_to(tmp_path: Path) -> None:
    optimize(_save(tmp_path / "1"), "none", output=tmp_path / "2", verification=None)
    optimize(tmp_path / "2", "fold_constants", output=tmp_path / "3", verification=None)
    entries = json.loads((tmp_path / "3" / "assets.extra" / "provenance.json").read_text())
    assert [entry["transforms"] for entry in entries] == ["none", "fold_constants"]
