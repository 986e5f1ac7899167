import io

from rich.console import Console

from tfs.cli.signature_view import signature_table
from tfs.savedmodel.reading import Signature, TensorInfo


def _rows(signature):
    console = Console(file=io.StringIO(), width=160)
    console.print(signature_table({signature.name: signature}))
    cells = [line.split("│")[1:-1] for line in console.file.getvalue().splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row] for row in cells]


def test_the_method_stands_with_the_name_and_defaults_with_the_shape():
    inputs = {"x": TensorInfo("float32", (None, 2), "x:0"), "[b]": TensorInfo("bool", (), "b:0")}
    outputs = {"y": TensorInfo("float32", None, "y:0")}
    predict = Signature("serving_default", inputs, outputs, "tensorflow/serving/predict", {"[b]": True})
    assert _rows(predict) == [
        ["serving_default", "in", "x", "float32", "[?, 2]", "x:0"],
        ["serving_default", "in", "[b]", "bool", "[] = true", "b:0"],
        ["serving_default", "out", "y", "float32", "unknown rank", "y:0"],
    ]
    classify = Signature("kinds", inputs, outputs, "tensorflow/serving/classify")
    assert {row[0] for row in _rows(classify)} == {"kinds (classify)"}
