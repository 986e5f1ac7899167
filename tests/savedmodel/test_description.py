import shutil
from collections import Counter

import numpy as np

from tfs.savedmodel.description import describe
from tfs.savedmodel.warmup import PredictRecord, log_of_record, warmup_file, write_records
from tfs.savedmodel.warmup_summary import WarmupSummary


def test_the_parts_are_counted_as_tensorflow_counts_them(plain_model):
    import tensorflow as tf

    version = plain_model / "3"
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(version))
        definition = graph.as_graph_def()
    bodies = [node for function in definition.library.function for node in function.node_def]
    description = describe(version)
    assert description.nodes == len(definition.node)
    assert description.functions == len(definition.library.function)
    assert description.function_nodes == len(bodies)
    assert description.ops == Counter(node.op for node in [*definition.node, *bodies])
    assert list(description.ops.values()) == sorted(description.ops.values(), reverse=True)
    assert (description.tags, description.tensorflow_version) == (("serve",), tf.__version__)
    assert description.assets == {"words.txt": 6}
    assert description.graph_size == (version / "saved_model.pb").stat().st_size
    assert description.variables_size == sum(file.stat().st_size for file in (version / "variables").iterdir())
    assert (description.warmup, description.problems, description.custom_ops) == (None, (), {})


def test_provenance_is_what_export_and_optimize_wrote_and_damage_is_none(plain_model, tmp_path):
    version = shutil.copytree(plain_model / "3", tmp_path / "1")
    extra = version / "assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / "tfs_export.json").write_text('{"options": {"source": "m.py:model"}, "tfs": "0.1.0"}')
    (extra / "provenance.json").write_text('[{"command": "tfs optimize", "transforms": "fold_constants"}, 3]')
    found = describe(version).provenance
    assert found.export == {"options": {"source": "m.py:model"}, "tfs": "0.1.0"}
    assert found.changes == ({"command": "tfs optimize", "transforms": "fold_constants"},)
    for damaged in ("[3", '"text"', "\udc80"):
        for name in ("tfs_export.json", "provenance.json"):
            (extra / name).write_bytes(damaged.encode(errors="surrogateescape"))
        found = describe(version).provenance
        assert (found.export, found.changes) == (None, ())


def test_the_keras_3_defect_is_named(keras_saved_twice):
    (problem,) = describe(keras_saved_twice).problems
    assert "does not restore 2 variables" in problem
    assert "dense/bias`" in problem
    assert "tfs export" in problem


def test_warm_up_records_are_counted_and_a_damaged_file_is_a_problem(plain_model, tmp_path):
    version = shutil.copytree(plain_model / "3", tmp_path / "1")
    record = PredictRecord("serving_default", {"x": np.ones(1, np.float32)})
    file = write_records(version, [log_of_record(record)] * 2)
    assert describe(version).warmup == WarmupSummary(2, file.stat().st_size, {"serving_default": 2})
    warmup_file(version).write_bytes(file.read_bytes()[:-3])
    description = describe(version)
    assert description.warmup is None
    assert "ends within record 1" in description.problems[0]
