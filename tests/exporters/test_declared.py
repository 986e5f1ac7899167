"""Signatures that a recipe declares: names, dtypes, shapes, examples, Classify and Regress, own functions."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from tfs.exporters.exporting import export
from tfs.exporters.options import ExportOptions
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import example_pb2
from tfs.savedmodel.reading import read_signatures

_MODELS = Path(__file__).parent / "declared_models.py"

_SIGNATURES = """
serving_default:
  inputs: {years: {of: age, dtype: int64}, cities: }
  outputs: {price: {dtype: float64}, probabilities: scores}
four:
  batch_size: 4
  outputs: {price: }
parsed:
  features: &guest
    age: {dtype: float32, shape: [1], default: 3.0}
    cities: {dtype: int64, kind: var_length}
  preprocess: &filled
    - pad: {of: cities, length: 3, value: 1, side: left}
ragged:
  features:
    age: {dtype: int32, shape: [1]}
    places: {dtype: int32, kind: ragged}
  preprocess:
    - rename: {of: places, into: cities}
    - truncate: {of: cities, length: 3, keep: end}
    - pad: {of: cities, length: 3}
  outputs: {scores: }
classes:
  method: classify
  features: *guest
  preprocess: *filled
  postprocess:
    - class_names: {of: scores, labels: LABELS, into: classes}
    - top_k: {of: [scores, classes], k: 2}
  outputs: {scores: , classes: }
scores_only: {method: classify, features: *guest, preprocess: *filled, outputs: {scores: }}
value: {method: regress, features: *guest, preprocess: *filled, outputs: {outputs: price}}
halved: {preprocess: "MODELS:half_age", inputs: {age: , cities: }}
named:
  inputs: {age: , names: {dtype: string, shape: [null, 3]}}
  preprocess: ["MODELS:Cities", "MODELS:half_age"]
doubled: {function: "MODELS:doubled", inputs: {a: age}, outputs: {t: twice}}
tripled: {function: "MODELS:with_python_arguments", outputs: {thrice: output_0, minus: output_1}}
"""


def _options(signatures, labels="labels.txt"):
    text = signatures.replace("MODELS", str(_MODELS)).replace("LABELS", str(labels))
    return ExportOptions(source=f"{_MODELS}:guests", signatures=yaml.safe_load(text))


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    folder = tmp_path_factory.mktemp("declared")
    (folder / "labels.txt").write_text("young\nold\nancient\n")
    return export(_options(_SIGNATURES, folder / "labels.txt"), folder / "m").path


@pytest.fixture(scope="module")
def ask(version):
    """Ask a signature through the v1 loader, as servers do."""
    import tensorflow as tf

    signatures = read_signatures(version)
    with tf.Graph().as_default():
        session = tf.compat.v1.Session()
        tf.compat.v1.saved_model.load(session, ["serve"], str(version))

    def run(name, **inputs):
        found = signatures[name]
        feeds = {found.inputs[alias].name: value for alias, value in inputs.items()}
        return session.run({alias: info.name for alias, info in found.outputs.items()}, feeds)

    yield run
    session.close()


@pytest.fixture(scope="module")
def model():
    from tfs.exporters.sources.python_objects import load_object

    made = load_object(f"{_MODELS}:guests")()

    def run(age, cities):
        outputs = made({"age": np.array(age, np.float32), "cities": np.array(cities, np.int32)})
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    return run


def _example(**features):
    example = example_pb2.Example()
    for name, values in features.items():
        kind = {float: "float_list", int: "int64_list", bytes: "bytes_list"}[type(values[0])]
        getattr(example.features.feature[name], kind).value.extend(values)
    return example.SerializeToString()


def test_names_dtypes_and_shapes_are_those_of_the_declaration(version):
    found = {
        name: (
            signature.method_name.rpartition("/")[2],
            {alias: (info.dtype, info.shape) for alias, info in signature.inputs.items()},
            {alias: (info.dtype, info.shape) for alias, info in signature.outputs.items()},
        )
        for name, signature in read_signatures(version).items()
    }
    cities, age = ("int32", (None, 3)), ("float32", (None, 1))
    scores, price = ("float32", (None, 3)), ("float32", (None, 1))
    examples = ("string", (None,))
    assert found == {
        "serving_default": (
            "predict",
            {"years": ("int64", (None, 1)), "cities": cities},
            {"price": ("float64", (None, 1)), "probabilities": scores},
        ),
        "four": ("predict", {"age": ("float32", (4, 1)), "cities": ("int32", (4, 3))}, {"price": ("float32", (4, 1))}),
        "parsed": ("predict", {"examples": examples}, {"scores": scores, "price": price}),
        "ragged": ("predict", {"examples": examples}, {"scores": scores}),
        "classes": (
            "classify",
            {"inputs": examples},
            {"scores": ("float32", (None, 2)), "classes": ("string", (None, 2))},
        ),
        "scores_only": ("classify", {"inputs": examples}, {"scores": scores}),
        "value": ("regress", {"inputs": examples}, {"outputs": price}),
        "halved": ("predict", {"age": age, "cities": cities}, {"scores": scores, "price": price}),
        "named": ("predict", {"age": age, "names": ("string", (None, 3))}, {"scores": scores, "price": price}),
        "doubled": ("predict", {"a": age}, {"t": price}),
        "tripled": ("predict", {"age": age, "cities": cities}, {"thrice": price, "minus": price}),
    }


def test_renamed_and_cast_tensors_are_the_models(ask, model):
    expected = model([[3], [4]], [[1, 2, 3], [4, 5, 6]])
    outputs = ask("serving_default", years=[[3], [4]], cities=[[1, 2, 3], [4, 5, 6]])
    np.testing.assert_allclose(outputs["probabilities"], expected["scores"], rtol=1e-5)
    np.testing.assert_allclose(outputs["price"], expected["price"], rtol=1e-5)


def test_tensors_examples_classify_and_regress_agree(ask, model):
    expected = model([[3.0], [5.0]], [[1, 1, 7], [1, 8, 9]])
    serialized = [_example(cities=[7]), _example(age=[5.0], cities=[8, 9])]
    parsed = ask("parsed", examples=serialized)
    np.testing.assert_allclose(parsed["scores"], expected["scores"], rtol=1e-5)
    np.testing.assert_allclose(ask("scores_only", inputs=serialized)["scores"], expected["scores"], rtol=1e-5)
    np.testing.assert_allclose(ask("value", inputs=serialized)["outputs"], expected["price"], rtol=1e-5)
    classes = ask("classes", inputs=serialized)
    best = np.argsort(-expected["scores"], axis=1)[:, :2]
    np.testing.assert_allclose(classes["scores"], np.take_along_axis(expected["scores"], best, 1), rtol=1e-5)
    assert classes["classes"].tolist() == np.array([b"young", b"old", b"ancient"], dtype=object)[best].tolist()


def test_ragged_features_are_cut_and_filled_up(ask, model):
    serialized = [_example(age=[1], places=[1, 2, 3, 4, 5]), _example(age=[2], places=[6])]
    expected = model([[1], [2]], [[3, 4, 5], [6, 0, 0]])
    np.testing.assert_allclose(ask("ragged", examples=serialized)["scores"], expected["scores"], rtol=1e-5)


def test_own_functions_are_part_of_the_graph_with_their_tables(ask, model):
    expected = model([[1.5]], [[7, 8, 0]])
    halved = ask("halved", age=[[3.0]], cities=[[7, 8, 0]])
    named = ask("named", age=[[3.0]], names=[["Oslo", "Graz", "Rome"]])
    np.testing.assert_allclose(halved["scores"], expected["scores"], rtol=1e-5)
    np.testing.assert_allclose(named["scores"], expected["scores"], rtol=1e-5)
    doubled = ask("doubled", a=[[3.0]])
    np.testing.assert_allclose(doubled["t"], 2 * model([[3.0]], [[1, 1, 1]])["price"], rtol=1e-5)


def test_a_concrete_function_keeps_the_python_values_it_was_traced_with(ask, model):
    expected = 3 * model([[2.0]], [[1, 2, 3]])["price"]
    tripled = ask("tripled", age=[[2.0]], cities=[[1, 2, 3]])
    np.testing.assert_allclose([tripled["thrice"], tripled["minus"]], [expected, -expected], rtol=1e-5)


def test_the_label_file_is_an_asset(version):
    assert [file.name for file in (version / "assets").iterdir()] == ["labels.txt"]


_AGE = "features: {age: {shape: [1]}, cities: {dtype: int32, shape: [3]}}"


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("{inputs: {ages: , cities: }}", "the model has no input `ages` (did you mean `age`?)"),
        ("{inputs: {age: }}", "nothing gives a value for the model's input `cities` (there is: age)"),
        ("{inputs: {age: {dtype: string}, cities: }}", "`age` is string and cannot be cast to float32"),
        ("{inputs: {age: {shape: [null, 2]}, cities: }}", "`age` has shape [?, 2], but the model takes [?, 1]"),
        ("{batch_size: 4, inputs: {age: {shape: [3, 1]}, cities: }}", "[3, 1], whose first dimension cannot be"),
        ("{inputs: {age: , names: }, preprocess: 'MODELS:Cities'}", "input `names` is none of the model's (give its"),
        ("{outputs: {score: }}", "there is no output `score` (did you mean `scores`?)"),
        ("{outputs: {scores: {dtype: string}}}", "output `scores` is float32 and cannot be cast to string"),
        ("{features: {age: {shape: [1]}}}", "nothing gives a value for the model's input `cities` (there is: age)"),
        ("{features: {age: {shape: [1]}, citis: {dtype: int32, shape: [3]}}}", "`cities` (did you mean `citis`?)"),
        (
            "{features: {age: {}, cities: {dtype: int32, shape: [3]}}}",
            "`age` has shape [?], but the model takes [?, 1]",
        ),
        ("{preprocess: [{pad: {of: citis, length: 3}}]}", "there is no value `citis` (did you mean `cities`?)"),
        ("{preprocess: [{lower: {of: age}}]}", "preprocess, step `lower` does not take `age`: TypeError"),
        ("{preprocess: 'MODELS:no_dictionary'}", "no_dictionary` returns a SymbolicTensor"),
        ("{preprocess: 'MODELS:nothing'}", "has no `nothing`"),
        ("{method: classify}", "classify takes serialized examples in one input `inputs`, not `age` (float32), `cit"),
        (f"{{method: classify, {_AGE}}}", "classify replies with outputs `classes`, `scores` or both, not `price`, `"),
        (f"{{method: regress, {_AGE}, outputs: {{outputs: scores}}}}", "has shape (None, 3), not [n] or [n, 1]"),
        (
            "{postprocess: [{class_names: {of: scores, labels: LABELS, into: classes}}]}",
            "step `class_names`: label file `labels.txt` has 2 lines, but there are 3 classes",
        ),
        (
            "{postprocess: [{class_names: {of: scores, labels: none.txt, into: classes}}]}",
            "label file `none.txt` cannot be read: No such file or directory",
        ),
        ("{postprocess: [{top_k: {of: scores, k: 4}}]}", "step `top_k`: there are no 4 best of 3 columns"),
        ("{function: 'MODELS:ragged', batch_size: 2}", "the model's function takes a RaggedTensor, servers have dense"),
        ("{of: other}", "the model has no signature `other` (there is: serving_default)"),
    ],
)
def test_what_does_not_fit_the_model_is_one_line_and_nothing_is_written(tmp_path, monkeypatch, signature, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.txt").write_text("young\nold\n")
    with pytest.raises(TfsError) as refused:
        export(_options(f"wrong: {signature}"), tmp_path / "m")
    assert str(refused.value).startswith("signature `wrong`") or "has no `nothing`" in str(refused.value)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("{inputs: {age: }, features: {age: {}}}", "has inputs or features, not both"),
        ("{function: 'a:b', of: c}", "has function or of, not both"),
        ("{outputs: {}}", "outputs are empty"),
        ("{method: classification}", "Input should be 'predict', 'classify' or 'regress'"),
        ("{preprocess: lower}", "`lower` is no pkg.mod:fn; a step has arguments"),
        ("{preprocess: [{lowr: {of: age}}]}", "unknown step `lowr` (did you mean `lower`?)"),
        ("{preprocess: [{pad: {of: age, lenght: 3}}]}", "step `pad` has no argument `lenght` (did you mean `length`?)"),
        ("{preprocess: [{pad: {of: age}}]}", "step `pad` needs the argument `length`"),
        ("{preprocess: [{pad: {of: age, length: 0}}]}", "step `pad`, argument `length`: Input should be greater"),
        ("{preprocess: [{join: {of: [age, age]}}]}", "step `join` needs the argument `into`"),
        ("{preprocess: [{lower: {of: [a, b], into: c}}]}", "step `lower` makes 2 values, `into` has 1 names"),
        ("{preprocess: [{lower: , strip: }]}", "a step is pkg.mod:fn, or one name with its arguments"),
    ],
)
def test_what_is_no_declaration_is_refused_before_tensorflow_is_asked(signature, message):
    with pytest.raises(ValidationError) as refused:
        _options(f"wrong: {signature}")
    assert message in refused.value.errors()[0]["msg"]
