"""The examples of docs/serve.md do what the page shows."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running_server import Models, RunningServer, publish

from tfs.serve.config import parse_model_config

_PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[tuple[list[str], str]]:
    """Return each command of a console block with the output shown for it."""
    pieces = [piece.split("\n", 1) for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(shlex.split(command), output) for command, output in pieces]


def without_what_varies(log: str) -> str:
    log = re.sub(r"^\S+ \S+ ", "<time> ", log, flags=re.MULTILINE)
    log = re.sub(r"from \S*/models/", "from <folder>/models/", log)
    log = re.sub(r"127\.0\.0\.1:\d+", "<address>", log)
    log = re.sub(r"TensorFlow \S+ computes on .*", "TensorFlow <version> computes on <devices>", log)
    log = re.sub(r"execution plan .*", "execution plan <plan>", log)
    return re.sub(r"\d+\.\d\d s", "<seconds> s", log)


def test_the_console_example(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launch: Callable[..., RunningServer]
) -> None:
    monkeypatch.chdir(tmp_path)
    publish(models.half_plus_two, tmp_path / "models" / "half_plus_two", 1)
    first_shell, other_shell = blocks("console")
    (find, listing), (serve, log) = commands(first_shell)
    assert subprocess.run(find, capture_output=True, text=True, check=True).stdout == listing
    assert serve[:2] == ["tfs", "serve"]
    server = launch(*serve[2:]).wait_until_ready()
    native_log_lines = re.compile(r"^[IWE]\d{4} .*\n", re.MULTILINE)  # TensorFlow's, which differ between machines
    assert without_what_varies(native_log_lines.sub("", server.log + "\n")) == without_what_varies(log)
    [(curl, answer)] = commands(other_shell)
    curl = [argument.replace("127.0.0.1:8501", server.rest_address) for argument in curl]
    assert subprocess.run(curl, capture_output=True, text=True, check=True).stdout.strip() == answer.strip()
    assert server.stop() == 0


def test_the_config_file_example() -> None:
    config, _, _ = blocks("textproto")
    assert [model.name for model in parse_model_config(config, source="docs/serve.md")] == ["digits", "other"]


def test_the_batching_example(models: Models, tmp_path: Path, launch: Callable[..., RunningServer]) -> None:
    _, parameters, _ = blocks("textproto")
    file = tmp_path / "batching.config"
    file.write_text(parameters)
    publish(models.half_plus_two, tmp_path / "m", 1)
    flags = ["--model_name=m", f"--model_base_path={tmp_path / 'm'}", f"--batching_parameters_file={file}"]
    server = launch(*flags, "--enable_batching").wait_until_ready()
    assert server.predict("m", 2.0) == (1, 3.0)
    assert server.rest_predict("m", 2.0).json() == {"predictions": [3.0]}


def test_the_request_log_example() -> None:
    _, _, config = blocks("textproto")
    [model] = parse_model_config(config, source="docs/serve.md")
    assert model.request_log is not None
    assert (model.request_log.prefix, model.request_log.sampling_rate) == ("/var/log/tfs/digits", 0.01)


def test_the_python_example(models: Models, tmp_path: Path) -> None:
    publish(models.half_plus_two, tmp_path / "models" / "digits", 1)
    [example] = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+\n", done.stdout)
