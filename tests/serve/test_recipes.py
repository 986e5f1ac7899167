"""The recipes that export: TensorFlow's loaders and `tfs serve` answer as the model in memory does."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from running_server import RunningServer

from tfs.savedmodel.protos import example_pb2
from tfs.savedmodel.reading import read_signatures

_ROOT = Path(__file__).parents[2]
_TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=["deepfm", "mnist_softmax", "text_encoder"])
def published(request, tmp_path_factory):
    """(the recipe's name, its base path, the answers that recipe_answers.py prints)."""
    folder = tmp_path_factory.mktemp(request.param)
    shutil.copytree(_ROOT / "recipes", folder / "recipes")
    command = [sys.executable, Path(__file__).parent / "recipe_answers.py", request.param, folder / "models"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    return request.param, folder / "models", json.loads(done.stdout)


@pytest.fixture(scope="module")
def server(published):
    name, base, _ = published
    with RunningServer(f"--model_name={name}", f"--model_base_path={base}") as running:
        yield running


def _agree(given, expected):
    assert sorted(given) == sorted(expected)
    for alias, value in expected.items():
        if isinstance(value[0][0], dict):  # strings
            assert given[alias] == value, alias
        else:
            np.testing.assert_allclose(given[alias], value, rtol=0, atol=_TOLERANCE, err_msg=alias)


@pytest.mark.parametrize("loader", ["loader", "v1 loader"])
def test_tensorflows_loaders_answer_as_the_model_in_memory(published, loader):
    _, _, answers = published
    assert sorted(answers[loader]) == sorted(answers["memory"])
    for signature, expected in answers["memory"].items():
        _agree(answers[loader][signature], expected)
        assert np.ptp([value for value in expected.values() if not isinstance(value[0][0], dict)]) > 0.01


def _by_columns(inputs):
    return {"inputs": inputs}


def _by_rows(inputs):
    return {"instances": [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]}


@pytest.mark.parametrize("form", [_by_columns, _by_rows])
def test_the_server_answers_predict_as_the_model_in_memory(published, server, form):
    name, base, answers = published
    for signature in read_signatures(base / "1"):
        body = {"signature_name": signature, **form(answers["inputs"][signature])}
        reply = httpx.post(f"http://{server.rest_address}/v1/models/{name}:predict", json=body, timeout=60)
        assert reply.status_code == 200, reply.text
        expected = {alias: value for alias, value in answers["memory"][signature].items() if alias != "classes"}
        outputs = reply.json()["outputs" if form is _by_columns else "predictions"]
        if len(answers["memory"][signature]) == 1:
            outputs = {next(iter(expected)): outputs}
        elif form is _by_rows:
            outputs = {alias: [row[alias] for row in outputs] for alias in outputs[0]}
        classes = outputs.pop("classes", [])
        assert classes == [["no click", "click"]] * len(classes)
        assert ("classes" in answers["memory"][signature]) == bool(classes)
        _agree(outputs, expected)


def test_the_server_answers_classify_and_regress(published, server):
    name, base, answers = published
    methods = {signature.method_name.rpartition("/")[2] for signature in read_signatures(base / "1").values()}
    for method in methods - {"predict"}:
        body = {"signature_name": method, "examples": list(map(_json_example, answers["inputs"][method]["inputs"]))}
        reply = httpx.post(f"http://{server.rest_address}/v1/models/{name}:{method}", json=body, timeout=60)
        assert reply.status_code == 200, reply.text
        results, expected = reply.json()["results"], answers["memory"][method]
        if method == "regress":
            np.testing.assert_allclose(results, np.ravel(expected["outputs"]), rtol=0, atol=_TOLERANCE)
        else:
            assert [[label for label, _ in row] for row in results] == [["no click", "click"]] * len(results)
            scores = [[score for _, score in row] for row in results]
            np.testing.assert_allclose(scores, expected["scores"], rtol=0, atol=_TOLERANCE)
    assert methods == ({"predict", "classify", "regress"} if name == "deepfm" else {"predict"})


def _json_example(serialized):
    """Return an example as the REST API's classify and regress take it."""
    features = example_pb2.Example.FromString(base64.b64decode(serialized["b64"])).features.feature
    return {key: [*feature.float_list.value, *feature.int64_list.value] for key, feature in features.items()}
