"""`tfs serve` as a command: its flags, its help, and what it says when it cannot start."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfs.serve.options import ServerOptions


def tfs(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tfs.cli", *args], capture_output=True, text=True, timeout=60, check=False
    )


def serve(*args: str) -> tuple[int, str]:
    """Return exit code and stderr; nothing may be on stdout."""
    done = tfs("serve", "--port=-1", "--rest_api_port=-1", *args)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_help_names_every_option_with_its_default_in_a_group() -> None:
    done = tfs("serve", "--help")
    assert done.returncode == 0
    for option in dataclasses.fields(ServerOptions):
        assert f"--{option.name} <" in done.stdout
    for group in ("Model:", "Network:", "Versions and loading:", "Execution:", "Example:"):
        assert group in done.stdout
    assert "[default: 8500]" in done.stdout


NO_MODEL = "there is no model to serve (give --model_base_path=DIR with the versions in it, or --model_config_file)"
NO_NAME = "--model_name is empty (give the model a name, or leave the flag out)"
NO_GRPC = "--port=0 leaves gRPC without a port (take a number, --port=-1 for a free port, or --grpc_socket_path)"
NO_FRACTION = "--per_process_gpu_memory_fraction=1.5 is no part of a GPU's memory (take a number from 0 to 1)"
NO_PORT = "--rest_api_port=70000 is no TCP port (take 1 to 65535, or -1 for a free port)"
NO_ALTS = (
    "--use_alts_credentials is refused: ALTS works on Google Cloud only, and gRPC would be in plain text without it "
    "(--ssl_config_file names keys for TLS)"
)
ALTS_AND_TLS = (
    "--use_alts_credentials and --ssl_config_file contradict each other (--ssl_config_file names keys for TLS)"
)
CONTRADICTION = (
    "--tensorflow_session_parallelism contradicts --tensorflow_intra_op_parallelism and "
    "--tensorflow_inter_op_parallelism (leave out the first or the other two)"
)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("", NO_MODEL),
        ("--model_name=m", NO_MODEL),
        ("--model_name= --model_base_path=/m", NO_NAME),
        ("--model_base_path=/m --port=0", NO_GRPC),
        ("--model_base_path=/m --rest-api-port 70000", NO_PORT),
        ("--model_base_path=/m --per_process_gpu_memory_fraction=1.5", NO_FRACTION),
        ("--model_base_path=/m --use_alts_credentials", NO_ALTS),
        ("--model_base_path=/m --use_alts_credentials --ssl_config_file=/keys", ALTS_AND_TLS),
        (
            "--model_base_path=/m --tensorflow_session_parallelism=1 --tensorflow-intra-op-parallelism=2 "
            "--tensorflow_inter_op_parallelism 1",
            CONTRADICTION,
        ),
    ],
)
def test_wrong_usage_exits_2_with_one_line(args: str, message: str) -> None:
    assert serve(*args.split()) == (2, f"error: {message}\n")


@pytest.mark.parametrize(
    "args",
    [
        ["--no_such_flag=1"],
        ["--port=80x"],
        ["--enable_model_warmup=maybe"],
        ["--version_transition=sudden"],
        ["stray"],
    ],
)
def test_a_flag_that_cannot_be_read_is_wrong_usage(args: list[str]) -> None:
    code, stderr = serve("--model_base_path=/nowhere", *args)
    assert code == 2
    assert args[0].split("=")[0].lstrip("-") in stderr


# A base path that does not exist is looked at after the flags have been read, so it shows that they were accepted.
@pytest.mark.parametrize(
    "args",
    [
        ["--model_base_path=/nowhere"],
        ["--model_base_path", "/nowhere"],
        ["--model-base-path", "/nowhere"],
        ["--model-base-path=/nowhere"],
        ["--enable_model_warmup", "--model_base_path=/nowhere"],
        ["--enable-model-warmup=false", "--model_base_path=/nowhere"],
        ["--enable_model_warmup=TRUE", "--model_base_path=/nowhere"],
        ["--version-transition", "resource_preserving", "--model_base_path=/nowhere"],
        ["--load_retry_interval_micros=-1", "--model_base_path=/nowhere"],
    ],
)
def test_flags_are_accepted_in_every_spelling(args: list[str]) -> None:
    assert serve(*args) == (
        1,
        "error: cannot list the base path `/nowhere`: No such file or directory (it is the directory that holds the "
        "versions)\n",
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "model_config_list { conf",
            "Error parsing text-format tensorflow.serving.ModelServerConfig: 1:21: Message type "
            '"tensorflow.serving.ModelConfigList" has no field named "conf"; '
            "INVALID_ARGUMENT: Invalid protobuf file: '{file}'",
        ),
        (
            'model_config_list { config { name: "m" base_path: "m" model_platform: "tensorflow" } }',
            "`{file}`: Expected model m to have an absolute path or URI; got base_path()=m "
            "(it is the directory that holds the versions)",
        ),
        (
            'model_config_list { config { name: "m" base_path: "/m" model_platform: "caffe" } }',
            'Model m requests unsupported platform caffe (write model_platform: "tensorflow")',
        ),
        (
            'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" '
            'version_labels { key: "stable" value: 7 } } }',
            "Request to assign label to version 7 of model m, which is not currently available for inference (wait "
            "until it is AVAILABLE, or start the server with --allow_version_labels_for_unavailable_models)",
        ),
    ],
    ids=["syntax", "relative", "platform", "label"],
)
def test_a_config_file_that_cannot_be_served_is_told_in_one_line(tmp_path: Path, text: str, error: str) -> None:
    file = tmp_path / "models.config"
    file.write_text(text)
    assert serve(f"--model_config_file={file}") == (1, f"error: {error.replace('{file}', str(file))}\n")


def test_a_config_file_that_is_missing_is_named() -> None:
    code, stderr = serve("--model_config_file=/nowhere.config")
    assert code == 1
    assert stderr.startswith("error: cannot read --model_config_file `/nowhere.config`: ")
    assert stderr.count("\n") == 1


def test_a_saved_model_as_base_path_is_told_its_parent(tmp_path: Path) -> None:
    version = tmp_path / "3"
    version.mkdir()
    (version / "saved_model.pb").touch()
    assert serve(f"--model_base_path={version}") == (
        1,
        f"error: the base path `{version}` is a SavedModel, not a directory of versions (give its parent: "
        f"--model_base_path={tmp_path})\n",
    )


def test_looking_once_and_finding_nothing_is_an_error(tmp_path: Path) -> None:
    code, stderr = serve(f"--model_base_path={tmp_path}", "--file_system_poll_wait_seconds=0")
    assert code == 1
    assert stderr.startswith(f"error: model `default` has no version to serve in `{tmp_path}`")
    assert stderr.count("\n") == 1


def test_version_prints_the_lines_of_tensorflow_model_server() -> None:
    done = tfs("serve", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"TensorFlow ModelServer: \d\S* \(tfs\)\nTensorFlow Library: 2\.\d\S*\n", done.stdout)


def test_help_of_the_server_loads_no_tensorflow() -> None:
    code = (
        "import sys; from tfs.cli.main import command_line\n"
        "command_line(['serve'])(['serve', '--help'], standalone_mode=False)\n"
        "assert not [m for m in sys.modules if m.startswith('tensorflow')]"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
