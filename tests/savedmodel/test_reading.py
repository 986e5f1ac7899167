import shutil

import pytest

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import saved_model_pb2
from tfs.savedmodel.reading import (
    Signature,
    TensorInfo,
    meta_graph,
    read_saved_model,
    read_signatures,
    saved_model_file,
    signature_named,
    version_directories,
)


def test_signatures_have_aliases_dtypes_shapes_and_tensor_names(plain_model):
    signatures = read_signatures(plain_model / "3")
    assert list(signatures) == ["look_up", "serving_default"]
    assert signatures["serving_default"] == Signature(
        "serving_default",
        {"x": TensorInfo("float32", (None,), "serving_default_x:0")},
        {"y": TensorInfo("float32", (None,), "StatefulPartitionedCall_1:0")},
        "tensorflow/serving/predict",
    )
    inputs = signatures["look_up"].inputs
    assert {alias: (info.dtype, info.shape) for alias, info in inputs.items()} == {
        "counts": ("int32", (None, None)),
        "negate": ("bool", ()),
        "words": ("string", (None, 2)),
    }


def test_a_text_saved_model_reads_like_the_binary_one(plain_model, tmp_path):
    binary = read_saved_model(plain_model / "3")
    (tmp_path / "saved_model.pbtxt").write_text(str(binary))
    assert read_saved_model(tmp_path) == binary


def test_versions_are_decimal_directories_with_a_saved_model(plain_model, tmp_path):
    for name in ("7", "0012", "tmp", "-3", "1.5", "9"):
        shutil.copytree(plain_model / "3", tmp_path / name)
    (tmp_path / "9" / "saved_model.pb").unlink()
    (tmp_path / "4").touch()
    assert {number: path.name for number, path in version_directories(tmp_path).items()} == {7: "7", 12: "0012"}
    assert version_directories(tmp_path / "missing") == {}


def test_a_base_path_is_refused_with_its_versions(plain_model):
    with pytest.raises(TfsError) as refused:
        saved_model_file(plain_model)
    assert str(refused.value) == (
        f"`{plain_model}` is a base path with the versions 3, not a version (name one: {plain_model}/3)"
    )


def test_missing_and_foreign_directories_are_refused(tmp_path):
    with pytest.raises(TfsError, match="does not exist"):
        saved_model_file(tmp_path / "missing")
    with pytest.raises(TfsError, match="no SavedModel"):
        saved_model_file(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 2, 100, -1], ids=["none", "one byte", "schema only", "head", "all but one"])
def test_a_truncated_file_is_refused_in_one_line(plain_model, tmp_path, keep):
    data = (plain_model / "3" / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(data[:keep])
    with pytest.raises(TfsError, match=r"saved_model.pb` is (truncated|empty) or no SavedModel") as refused:
        read_saved_model(tmp_path)
    assert "\n" not in str(refused.value)


def test_broken_text_is_refused(tmp_path):
    (tmp_path / "saved_model.pbtxt").write_text("meta_graphs { no_such_field: 1 }")
    with pytest.raises(TfsError, match="no_such_field"):
        read_saved_model(tmp_path)
    (tmp_path / "saved_model.pbtxt").write_bytes(b"\xff\xfe")
    with pytest.raises(TfsError, match="no SavedModel"):
        read_saved_model(tmp_path)


def _with_tags(*tag_sets):
    proto = saved_model_pb2.SavedModel()
    for tags in tag_sets:
        proto.meta_graphs.add().meta_info_def.tags.extend(tags)
    return proto


def test_the_graph_is_chosen_by_its_tags(tmp_path):
    both = _with_tags(["train"], ["serve"])
    assert meta_graph(both, tmp_path) is both.meta_graphs[1]
    only = _with_tags(["serve", "tpu"])
    assert meta_graph(only, tmp_path) is only.meta_graphs[0]
    with pytest.raises(TfsError, match=r"tags serve \(it has: train; serve,tpu\)"):
        meta_graph(_with_tags(["train"], ["tpu", "serve"]), tmp_path)


def test_an_unknown_signature_is_refused_with_those_there_are(plain_model):
    signatures = read_signatures(plain_model / "3")
    with pytest.raises(TfsError, match=r"no signature `other`.*it has: look_up, serving_default"):
        signature_named(signatures, "other", plain_model / "3")
