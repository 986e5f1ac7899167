from pathlib import Path

import numpy as np
import pytest

from tfs.exporters.exporting import export
from tfs.exporters.options import ExportOptions
from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.reading import read_signatures
from tfs.savedmodel.synthetic import generate

_MODELS = Path(__file__).parent / "models.py"


def _source(name):
    return f"{_MODELS}:{name}"


def _export(source, base, *, version="auto", **options):
    return export(ExportOptions(source=source, **options), base, version)


def _run_as_a_server_would(version, signature_name="serving_default"):
    """Return generated inputs of a signature and what it answers through the v1 loader."""
    import tensorflow as tf

    signature = read_signatures(version)[signature_name]
    inputs = generate(signature, 3, 11)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(version))
        fetches = {alias: info.name for alias, info in signature.outputs.items()}
        outputs = session.run(fetches, {signature.inputs[alias].name: array for alias, array in inputs.items()})
    return inputs, outputs


def _model(name):
    from tfs.exporters.sources.python_objects import load_object

    return load_object(_source(name))()


def _entries(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else None


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("digits", {"images": (None, 8, 8, 1)}, {"scores"}),
        ("two_inputs", {"price": (None, 3), "item": (None, 2)}, {"sum", "vector"}),
        ("listed", {"x": (None, 3)}, {"left", "right"}),
        ("text", {"text": (None, 1)}, {"score"}),
        ("own_table", {"country": (None, 1)}, {"code"}),
        ("recurrent", {"steps": (None, None, 4)}, {"y"}),
    ],
)
def test_the_default_signature_has_the_models_own_names(tmp_path, name, inputs, outputs):
    exported = _export(_source(name), tmp_path / "m")
    assert (exported.path, exported.version) == (tmp_path / "m" / "1", 1)
    assert list(exported.signatures) == ["serving_default"]
    signature = exported.signatures["serving_default"]
    assert {alias: info.shape for alias, info in signature.inputs.items()} == inputs
    assert set(signature.outputs) == outputs
    _, answered = _run_as_a_server_would(exported.path)
    assert set(answered) == outputs


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras 3.15 while it saves
def test_a_saved_model_file_answers_as_keras_does(tmp_path, suffix):
    model = _model("digits")
    file = tmp_path / f"digits{suffix}"
    model.save(file)
    exported = _export(str(file), tmp_path / "m")
    inputs, outputs = _run_as_a_server_would(exported.path)
    np.testing.assert_allclose(outputs["scores"], model.predict(inputs["images"], verbose=0), rtol=1e-5)


def test_a_module_has_its_function_as_signature(tmp_path):
    exported = _export(_source("Scaler"), tmp_path / "m")
    assert list(exported.signatures) == ["serving_default"]
    inputs, outputs = _run_as_a_server_would(exported.path)
    with_units = _model("Scaler")
    np.testing.assert_allclose(outputs["y"], with_units.scale(inputs["x"], inputs["unit"])["y"], rtol=1e-5)


def test_a_signature_function_replaces_the_default(tmp_path):
    named = {"serving_default": _source("scores_and_classes")}
    exported = _export(_source("digits"), tmp_path / "m", signatures=named)
    assert set(exported.signatures) == {"serving_default"}
    _, outputs = _run_as_a_server_would(exported.path)
    assert outputs["classes"].tolist() == outputs["scores"].argmax(axis=-1).tolist()


def test_further_signatures_stand_beside_the_default_and_share_its_weights(tmp_path):
    import tensorflow as tf

    alone = _export(_source("digits"), tmp_path / "alone")
    named = {"classes": _source("scores_and_classes"), "doubled": _source("concrete")}
    exported = _export(_source("digits"), tmp_path / "m", signatures=named)
    assert set(exported.signatures) == {"serving_default", "classes", "doubled"}
    inputs, scores = _run_as_a_server_would(exported.path)
    again, doubled = _run_as_a_server_would(exported.path, "doubled")
    assert again["images"].tolist() == inputs["images"].tolist()
    np.testing.assert_allclose(doubled["doubled"], 2 * scores["scores"], rtol=1e-6)

    def shapes(version):
        checkpoint = str(version / "variables" / "variables")
        return sorted(shape for name, shape in tf.train.list_variables(checkpoint) if "OBJECT_GRAPH" not in name)

    read_by_inference = [variable for variable in _model("digits").variables if "seed" not in variable.path]
    each_once = sorted(list(variable.shape) for variable in read_by_inference)
    assert shapes(alone.path) == shapes(exported.path) == each_once


def test_a_subclassed_model_needs_a_signature_function(tmp_path):
    with pytest.raises(TfsError, match=r"Subclassed model was never built.*--signature serving_default="):
        _export(_source("Subclassed"), tmp_path / "m")
    named = {"serving_default": _source("serve_subclassed")}
    exported = _export(_source("Subclassed"), tmp_path / "m", signatures=named)
    _, outputs = _run_as_a_server_would(exported.path)
    assert outputs["y"].shape == (3, 2)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("without_input_signature", "needs an input_signature"),
        ("no_function", "returns a int"),
        ("failing", "no such layer"),
        ("missing", "has no `missing`"),
        ("not_a_model", "is no function"),
    ],
)
def test_a_bad_signature_function_is_named_and_nothing_is_written(tmp_path, function, words):
    with pytest.raises(TfsError, match=words) as refused:
        _export(_source("digits"), tmp_path / "m", signatures={"other": _source(function)})
    assert "\n" not in str(refused.value)
    assert _entries(tmp_path) == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (_source("not_a_model"), "gives a int, no model"),
        (_source("factory_that_fails"), "RuntimeError: no weights here"),
        (_source("nothing"), "has no `nothing`"),
        ("no/such/file.py:model", "does not exist"),
        ("no/such/file.keras", "does not exist"),
        ("no_such_package.models:model", "no module `no_such_package`"),
    ],
)
def test_a_source_without_a_model_is_named_and_nothing_is_written(tmp_path, source, words):
    with pytest.raises(TfsError, match=words):
        _export(source, tmp_path / "m")
    assert _entries(tmp_path) == []


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("silent", {}, "the Module has no tf.function with an input_signature"),
        ("Scaler", {"keep_signatures": ["scale"]}, "the source has no signature `scale`"),
        ("Scaler", {"signatures": {"s": {"inputs": {"z": None}}}}, "signature `s`: the model has no input `z`"),
        ("Scaler", {"signatures": {"s": {"outputs": {"z": None}}}}, "signature `s`: there is no output `z`"),
    ],
)
def test_names_that_the_model_does_not_have(tmp_path, source, options, words):
    with pytest.raises(TfsError, match=words):
        _export(_source(source), tmp_path / "m", **options)
    assert _entries(tmp_path) == []


@pytest.mark.parametrize("source", ["model.onnx", "models", ":model"])
def test_a_source_of_another_form_is_wrong_usage(tmp_path, source):
    with pytest.raises(UsageError):
        _export(source, tmp_path / "m")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_damaged_file_is_named(tmp_path, suffix):
    file = tmp_path / f"broken{suffix}"
    file.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(TfsError, match=f"broken{suffix}` cannot be loaded") as refused:
        _export(str(file), tmp_path / "m")
    assert "\n" not in str(refused.value)


def test_nothing_but_the_version_is_left_behind(tmp_path):
    exported = _export(_source("listed"), tmp_path / "a" / "b", version=12)
    assert _entries(tmp_path / "a" / "b") == ["12"]
    assert exported.path.stat().st_mode & 0o777 == 0o755
    assert exported.size == sum(file.stat().st_size for file in exported.path.rglob("*") if file.is_file())
