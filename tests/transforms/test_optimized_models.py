"""Whole models through `optimize`: what is left in the file, and what both of TensorFlow's loaders make of it."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from network_models import MODELS, bfloat16

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.reading import meta_graph, read_saved_model, read_signatures
from tfs.savedmodel.synthetic import generate
from tfs.savedmodel.warmup import PredictRecord, log_of_record, write_records
from tfs.transforms.comparing import MismatchError
from tfs.transforms.optimizing import OptimizeReport, optimize
from tfs.transforms.running import open_model

SavedModels = Callable[[str], Path]


@pytest.fixture(scope="module")
def optimized(
    saved_models: SavedModels, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, OptimizeReport]]:
    base = tmp_path_factory.mktemp("optimized")
    reports: dict[str, OptimizeReport] = {}

    def result_of(name: str) -> tuple[Path, OptimizeReport]:
        if name not in reports:
            reports[name] = optimize(saved_models(name), output=base / name)
        return base / name, reports[name]

    return result_of


def _graph(path: Path) -> Any:
    return meta_graph(read_saved_model(path), path).graph_def


def _ops(path: Path) -> Counter[str]:
    return Counter(node.op for node in _graph(path).node)


@pytest.mark.parametrize("name", MODELS)
def test_signatures_stay_and_both_loaders_compute_the_same(
    saved_models: SavedModels, optimized: Callable[[str], tuple[Path, OptimizeReport]], name: str, tmp_path: Path
) -> None:
    import tensorflow as tf

    original = saved_models(name)
    path, _ = optimized(name)
    path = Path(shutil.copytree(path, tmp_path / "elsewhere"))
    before, after = read_signatures(original), read_signatures(path)
    assert before == after

    loaded, reference = tf.saved_model.load(str(path)), tf.saved_model.load(str(original))
    with open_model(path) as session:
        for signature in before.values():
            inputs = generate(signature, 2, 7)
            expected = _flat(reference.signatures[signature.name](**{k: tf.constant(v) for k, v in inputs.items()}))
            actual = _flat(loaded.signatures[signature.name](**{k: tf.constant(v) for k, v in inputs.items()}))
            served = session.answer(signature.name, inputs)
            assert isinstance(served, dict)
            assert expected.keys() == actual.keys() == served.keys()
            for output in expected.keys() - {"noisy"}:
                _assert_close(actual[output], expected[output])
                _assert_close(served[output], expected[output])


def _flat(answer: dict[str, Any]) -> dict[str, np.ndarray]:
    import tensorflow as tf

    found = {}
    for alias, value in answer.items():
        parts = tf.nest.flatten(value, expand_composites=True)
        names = [alias] if len(parts) == 1 else [f"{alias}/{index}" for index in range(len(parts))]
        found.update(zip(names, (part.numpy() for part in parts), strict=True))
    return found


def _assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.dtype == expected.dtype
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * max(1.0, float(np.abs(expected).max())))
    else:
        np.testing.assert_array_equal(actual, expected)


def test_no_batch_norm_is_left_of_a_cnn(
    saved_models: SavedModels, optimized: Callable[[str], tuple[Path, OptimizeReport]]
) -> None:
    path, report = optimized("cnn")
    ops = _ops(path)
    assert not ops.keys() & {"Mul", "AddV2", "Rsqrt", "Identity", "ReadVariableOp", "VarHandleOp"}
    assert ops["Sub"] == 2  # what adds the offset of the dense layer, one for each signature
    # Two signatures, each with two Conv2D and one depthwise one, as the original has.
    assert (ops["Conv2D"], ops["DepthwiseConv2dNative"], ops["MatMul"]) == (4, 2, 4)
    assert report.after.nodes * 5 < report.before.nodes
    assert report.after.bytes * 3 < report.before.bytes
    assert not report.kept


def test_two_signatures_store_their_weights_once(optimized: Callable[[str], tuple[Path, OptimizeReport]]) -> None:
    graph = _graph(optimized("cnn")[0])
    by_name = {node.name: node for node in graph.node}
    for op, count in (("Conv2D", 2), ("DepthwiseConv2dNative", 1), ("MatMul", 2), ("BiasAdd", 3), ("Sub", 1)):
        constants = {node.input[1] for node in graph.node if node.op == op}
        assert len(constants) == count
        assert {by_name[name].op for name in constants} == {"Const"}


def test_one_backbone_for_two_inputs_is_folded_and_stored_once(
    optimized: Callable[[str], tuple[Path, OptimizeReport]],
) -> None:
    """Tensorflow issue 31877."""
    graph = _graph(optimized("two_inputs")[0])
    assert len({node.input[1] for node in graph.node if node.op == "Conv2D"}) == 1
    assert not any(node.op == "Mul" for node in graph.node)


def test_variables_inside_loops_and_branches_are_frozen(
    optimized: Callable[[str], tuple[Path, OptimizeReport]],
) -> None:
    for name in ("lstm", "branches"):
        path, report = optimized(name)
        graph = _graph(path)
        ops = {node.op for node in graph.node} | {n.op for f in graph.library.function for n in f.node_def}
        assert not report.kept
        assert ops & {"While", "StatelessWhile"}
        assert not ops & {"VarHandleOp", "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape"}


def test_a_loop_runs_as_it_did_before(
    saved_models: SavedModels, optimized: Callable[[str], tuple[Path, OptimizeReport]]
) -> None:
    lowered = [
        node.attr["_lower_using_switch_merge"].b for node in _graph(optimized("lstm")[0]).node if node.op == "While"
    ]
    assert lowered
    assert all(lowered)


def test_an_asset_is_found_wherever_the_model_is_put(
    optimized: Callable[[str], tuple[Path, OptimizeReport]], tmp_path: Path
) -> None:
    path = Path(shutil.copytree(optimized("vocabulary")[0], tmp_path / "moved"))
    assert (path / "assets" / "words.txt").read_text() == "the\na\nmovie\n"
    with open_model(path) as model:
        answer = model.answer("serving_default", {"words": np.array([b"movie", b"the"], object)})
    assert isinstance(answer, dict)
    assert answer["ids"].tolist() == [2, 0]


def test_a_table_from_the_checkpoint_keeps_its_content(
    optimized: Callable[[str], tuple[Path, OptimizeReport]],
) -> None:
    with open_model(optimized("learnt_table")[0]) as model:
        answer = model.answer("serving_default", {"words": np.array([b"a", b"b", b"the"], object)})
    assert isinstance(answer, dict)
    assert answer["ids"].tolist() == [9, -1, 7]


def test_what_the_model_changes_stays_a_variable_and_is_reported(
    optimized: Callable[[str], tuple[Path, OptimizeReport]],
) -> None:
    import tensorflow as tf

    path, report = optimized("counter")
    assert report.kept == dict.fromkeys(("count", "state"), "the model changes it")
    assert report.frozen == ("weight",)
    call = tf.saved_model.load(str(path)).signatures["serving_default"]
    counts = [int(call(x=tf.constant([1.0]))["count"]) for _ in range(3)]
    assert counts == [4, 5, 6]


def test_a_training_flag_that_nobody_feeds_is_folded_away(
    optimized: Callable[[str], tuple[Path, OptimizeReport]],
) -> None:
    """Tensorflow issue 19683."""
    ops = _ops(optimized("tf1")[0])
    assert not ops.keys() & {
        "Switch",
        "Merge",
        "FusedBatchNormV3",
        "PlaceholderWithDefault",
        "VariableV2",
        "VarHandleOp",
    }
    assert (ops["Conv2D"], ops["BiasAdd"]) == (1, 1)


def test_a_keras_model_that_servers_cannot_restore_is_repaired(
    optimized: Callable[[str], tuple[Path, OptimizeReport]],
) -> None:
    path, report = optimized("written_by_save")
    assert len(report.frozen) == 4
    with open_model(path) as model:
        inputs = generate(read_signatures(path)["serving_default"], 1, 0)
        assert isinstance(model.answer("serving_default", inputs), dict)


def test_random_outputs_are_reported_and_the_others_compared(
    optimized: Callable[[str], tuple[Path, OptimizeReport]],
) -> None:
    verification = optimized("random_numbers")[1].verification
    assert verification is not None
    assert [note for note in verification.notes if "noisy" in note and "varies run by run" in note]
    assert not [note for note in verification.notes if "twice" in note]


def test_warm_up_records_are_what_is_verified_and_stay(saved_models: SavedModels, tmp_path: Path) -> None:
    original = Path(shutil.copytree(saved_models("cnn"), tmp_path / "1"))
    signature = read_signatures(original)["serving_default"]
    records = [PredictRecord("serving_default", generate(signature, 2, seed)) for seed in (1, 2, 3)]
    file = write_records(original, [log_of_record(record) for record in records])
    report = optimize(original, output=tmp_path / "2")
    assert report.verification is not None
    assert report.verification.source == "warm-up records"
    assert report.verification.requests == 5
    assert "signature `serve` has no warm-up record; generated inputs were used" in report.verification.notes
    assert (tmp_path / "2" / file.relative_to(original)).read_bytes() == file.read_bytes()


def test_a_result_that_computes_something_else_is_not_written(saved_models: SavedModels, tmp_path: Path) -> None:
    with pytest.raises(
        MismatchError, match=r"output `output_0` of signature `serve` is off by .*; nothing was written"
    ):
        optimize(saved_models("cnn"), output=tmp_path / "2", transforms="remove_nodes(op=Relu)")
    assert not list(tmp_path.iterdir())


def test_the_tolerance_decides_what_is_the_same(saved_models: SavedModels, tmp_path: Path) -> None:
    from tfs.transforms.comparing import Tolerance

    report = optimize(
        saved_models("cnn"), output=tmp_path / "2", transforms="remove_nodes(op=Relu)", verification=Tolerance(rtol=2.0)
    )
    assert report.verification is not None
    assert 1e-3 < report.verification.largest_difference < 2


def test_low_precision_is_named_when_it_is_the_reason(tmp_path: Path) -> None:
    from tfs.transforms.comparing import Tolerance

    bfloat16(tmp_path / "1")
    with pytest.raises(MismatchError, match=r"off by .* \(the model computes in half precision or bfloat16"):
        optimize(tmp_path / "1", output=tmp_path / "2")
    report = optimize(tmp_path / "1", output=tmp_path / "2", verification=Tolerance(rtol=0.02))
    assert report.verification is not None
    assert _ops(tmp_path / "2")["Mul"] == 0


def test_in_place_replaces_the_model_and_leaves_nothing_else(saved_models: SavedModels, tmp_path: Path) -> None:
    original = Path(shutil.copytree(saved_models("cnn"), tmp_path / "1"))
    before = _ops(original)
    report = optimize(original, output=None, verification=None)
    assert report.verification is None
    assert "StatefulPartitionedCall" in before
    assert "StatefulPartitionedCall" not in _ops(original)
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]


def test_in_place_failure_leaves_the_original_as_it_was(saved_models: SavedModels, tmp_path: Path) -> None:
    original = Path(shutil.copytree(saved_models("cnn"), tmp_path / "1"))
    before = (original / "saved_model.pb").read_bytes()
    with pytest.raises(MismatchError):
        optimize(original, output=None, transforms="remove_nodes(op=Relu)")
    assert (original / "saved_model.pb").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]


def test_optimizing_twice_changes_nothing_more(
    optimized: Callable[[str], tuple[Path, OptimizeReport]], tmp_path: Path
) -> None:
    path, first = optimized("cnn")
    second = optimize(path, output=tmp_path / "again")
    assert second.before == first.after
    assert second.after.nodes == first.after.nodes
    assert second.after.bytes <= first.after.bytes


def test_an_output_that_exists_is_refused_before_anything_is_loaded(saved_models: SavedModels, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists"):
        optimize(saved_models("cnn"), output=tmp_path)


def test_a_model_without_its_checkpoint_is_refused(saved_models: SavedModels, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(saved_models("cnn"), tmp_path / "1"))
    shutil.rmtree(broken / "variables")
    with pytest.raises(TfsError, match="cannot be loaded"):
        optimize(broken, output=tmp_path / "2")
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]


def test_the_report_is_json_with_one_entry_for_each_pass(
    optimized: Callable[[str], tuple[Path, OptimizeReport]],
) -> None:
    import json

    report = json.loads(json.dumps(optimized("cnn")[1].to_dict()))
    assert [entry["name"] for entry in report["passes"]][:3] == [
        "inline functions",
        "freeze variables",
        "strip_unused_nodes",
    ]
    for first, second in zip(report["passes"], report["passes"][1:], strict=False):
        assert first["nodes"]["after"] == second["nodes"]["before"]
    assert report["verification"]["speed_ratio"] > 0
