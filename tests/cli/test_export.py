import json
import runpy

import pytest


def test_the_result_is_json_on_stdout_and_nothing_on_stderr(tfs, model_file, tmp_path):
    done = tfs("export", "digits_model:digits", "--output", tmp_path / "m", "--json", cwd=model_file.parent)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result.pop("size") > 0
    assert result == {
        "path": str(tmp_path / "m" / "1"),
        "version": 1,
        "signatures": {
            "serving_default": {
                "method_name": "tensorflow/serving/predict",
                "defaults": {},
                "inputs": {
                    "images": {
                        "dtype": "float32",
                        "shape": [None, 8, 8, 1],
                        "tensor": "serving_default_images:0",
                        "components": [],
                    }
                },
                "outputs": {
                    "scores": {
                        "dtype": "float32",
                        "shape": [None, 10],
                        "tensor": "StatefulPartitionedCall:0",
                        "components": [],
                    }
                },
            }
        },
    }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras, while it saves
def test_a_keras_file_becomes_the_next_version_with_a_table(tfs_here, model_file, tmp_path):
    runpy.run_path(str(model_file))["digits"]().save(tmp_path / "digits.keras")
    (tmp_path / "m" / "4").mkdir(parents=True)
    done = tfs_here("export", "digits.keras", "-o", "m", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("m/5  (")
    assert "serving_default" in done.stdout
    assert "[?, 8, 8, 1]" in done.stdout


def test_an_existing_version_is_refused_before_tensorflow_is_loaded(tfs, exported):
    before = sorted(exported.rglob("*"))
    done = tfs("export", "any:thing", "-o", exported.parent, "--version", "1")
    message = f"error: `{exported}` exists already (another --version, or --overwrite)\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)
    assert sorted(exported.rglob("*")) == before


def test_a_users_mistake_is_one_line(tfs_here, model_file, tmp_path):
    done = tfs_here("export", f"{model_file}:digits", "-o", tmp_path / "m", "--signature", f"other={model_file}:digits")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: signature `other`: `{model_file}:digits` failed: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_wrong_usage_exits_with_two(tfs_here, tmp_path):
    for arguments in (
        ["export"],
        ["export", "m.keras"],
        ["export", "m.onnx", "-o", tmp_path],
        ["export", "m.keras", "-o", tmp_path, "--version", "newest"],
        ["export", "m.keras", "-o", tmp_path, "--signature", "no_equals_sign"],
        ["export", "m.keras", "-o", tmp_path, "--signature", "a=b:c", "--signature", "a=b:d"],
        ["export", "m.keras", "-o", tmp_path, "--method", "serving_default"],
        ["export", "m.keras", "-o", tmp_path, "--method", "serving_default=guess"],
    ):
        done = tfs_here(*arguments)
        assert done.returncode == 2, arguments
        assert done.stdout == ""
        assert "Traceback" not in done.stderr


def test_a_model_fn_that_lacks_something_is_told_before_tensorflow_is_loaded(tfs, tmp_path):
    (tmp_path / "receiver.yaml").write_text("features: {x: {dtype: complex64}}")
    (tmp_path / "list.yaml").write_text("- x")
    for arguments, exit_code, message in (
        ([], 2, "the model_fn `a:b` does not say what its features are (describe them with --receiver)"),
        (["--receiver", "receiver.yaml"], 2, "the flags, key `export.receiver.features.x.dtype`: Input should be"),
        (["--receiver", "list.yaml"], 2, "receiver `list.yaml` holds no mapping of keys (see docs/export.md"),
        (["--receiver", "none.yaml"], 1, "receiver `none.yaml` cannot be read: No such file or directory"),
        (["m.keras"], 2, "it needs either a source or a model_fn"),
    ):
        done = tfs("export", "--model-fn", "a:b", "-o", "m", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (exit_code, ""), arguments
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "m").exists()


_PARSE = """
import tensorflow as tf

def parse(model):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def serve(inputs):
        images = tf.io.parse_example(inputs, {"image": tf.io.FixedLenFeature([8, 8, 1], tf.float32)})["image"]
        return {"scores": model(images, training=False)}
    return serve
"""


def test_a_signature_of_a_recipe_gets_its_method_from_a_flag(tfs_here, model_file, tmp_path):
    (tmp_path / "parse.py").write_text(_PARSE)
    signatures = "{classes: parse.py:parse, probable: {function: parse.py:parse, outputs: {scores: }}}"
    (tmp_path / "r.yaml").write_text(f"export: {{source: '{model_file}:digits', signatures: {signatures}}}")
    methods = ["--method", "classes=classify", "--method", "probable=classify"]
    done = tfs_here("export", "--recipe", "r.yaml", "-o", "m", "--json", *methods, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)["signatures"]
    assert {name: signature["method_name"].rpartition("/")[2] for name, signature in found.items()} == {
        **{"serving_default": "predict", "classes": "classify", "probable": "classify"}
    }


def test_a_declaration_that_does_not_fit_is_one_line(tfs_here, model_file, tmp_path):
    done = tfs_here("export", f"{model_file}:digits", "-o", tmp_path / "m", "--method", "serving_default=regress")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: signature `serving_default`: regress takes serialized examples in one input `inputs`, not `images` "
        "(float32) (say under `features` what to parse out of them)\n"
    )
    assert not (tmp_path / "m").exists()


_MODULE = """
import tensorflow as tf

class Line(tf.Module):
    def __init__(self):
        super().__init__()
        self.slope = tf.Variable(0.5)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def at(self, x):
        return {"y": self.slope * x + 2.0}

    @tf.function
    def open(self, x):
        return x

def untraced(model):
    return model.open

"""
_RECIPE = """\
output: lines
version: 7
export:
  source: line.py:Line
  signatures:
    renamed: {of: serving_default, inputs: {a: x}, outputs: {b: y}}
"""


@pytest.fixture
def line(tmp_path):
    """A folder with the module line.py and a recipe for it."""
    (tmp_path / "line.py").write_text(_MODULE)
    (tmp_path / "line.yaml").write_text(_RECIPE)
    return tmp_path


def test_a_recipe_fills_in_what_the_flags_leave_out(tfs_here, line):
    flags = ["--signature", "other=x -> doubled=y", "--version", "8", "--tags", "serve,line"]
    done = tfs_here("export", "--recipe", "line.yaml", *flags, "--json", cwd=line)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["path"], result["version"]) == ("lines/8", 8)
    aliases = {name: (list(one["inputs"]), list(one["outputs"])) for name, one in result["signatures"].items()}
    assert aliases == {
        "other": (["x"], ["doubled"]),
        "renamed": (["a"], ["b"]),
        "serving_default": (["x"], ["y"]),
    }
    again = tfs_here("export", "line.py:Line", "-o", "lines", "--version", "8", "--overwrite", "--as-text", cwd=line)
    assert again.returncode == 0, again.stderr
    assert (line / "lines/8/saved_model.pbtxt").is_file()
    assert [path.name for path in (line / "lines").iterdir()] == ["8"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.keras"], "`none.keras` does not exist or is no file"),
        (["line.py:Line", "--signature", "s=line.py:untraced"], "signature `s` cannot be traced: "),
        (["line.py:Line", "--signature", "s=z -> y"], "signature `s`: the model has no input `z`"),
        (["line.py:Line", "--weights", "none"], "there is no checkpoint `none`"),
    ],
)
def test_bad_input_is_one_line_and_publishes_nothing(tfs_here, line, arguments, message):
    done = tfs_here("export", *arguments, "-o", "lines", cwd=line)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
    assert not (line / "lines").exists()
