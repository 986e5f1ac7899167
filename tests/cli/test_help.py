import os
import re
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

_COMMANDS = ["export", "optimize", "warmup", "inspect", "serve", "run", "predict", "bench"]


def test_help_lists_the_commands_in_the_order_of_the_work(tfs):
    done = tfs("--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = re.findall(r"^  ([a-z]+) {2}", done.stdout, re.MULTILINE)
    assert [name for name in listed if name in _COMMANDS] == _COMMANDS
    assert tfs("-h").stdout == done.stdout
    assert tfs().stdout.strip() == done.stdout.strip()


def test_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from tfs.cli.main import command_line\n"
        "command_line(['--help'])(['--help'], standalone_mode=False)\n"
        "heavy = ['tensorflow', 'numpy', 'pydantic', 'google.protobuf', 'grpc', 'httpx', 'yaml', 'keras']\n"
        "loaded = [name for name in heavy if name in sys.modules]\n"
        "assert not loaded, loaded\n"
        "assert not [name for name in sys.modules if name.startswith('tensorflow')]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_help_answers_in_a_quarter_of_a_second(tfs):
    def seconds():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        tfs("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Of the processor, and the best of several: what else the machine does is not our time.
    assert min(seconds() for _ in range(5)) < 0.25


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_has_help_with_an_example(tfs, command):
    done = tfs(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"Example.*tfs {command}", done.stdout, re.DOTALL)


def test_version_prints_three_lines(tfs):
    done = tfs("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"tfs \d+\.\d+\.\d+\S*\nTensorFlow 2\.\d+\.\d+\S*\nengine \d+\.\d+\.\d+\S*\n", done.stdout)


def test_version_finds_tensorflow_without_importing_it():
    code = (
        "import sys; from tfs.cli.main import command_line\n"
        "command_line(['--version'])(['--version'], standalone_mode=False)\n"
        "assert 'tensorflow' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("nope", "No such command 'nope' (see `tfs --help`)"),
        ("serv", "No such command 'serv'. Did you mean 'serve'? (see `tfs --help`)"),
        ("--zzz", "No such option: --zzz (see `tfs --help`)"),
        ("run", "Missing argument 'RECIPE' (see `tfs run --help`)"),
        ("run a b", "Got unexpected extra argument(s) (b) (see `tfs run --help`)"),
        ("inspect", "give either a SAVED_MODEL or --url (tfs inspect models/digits/1)"),
        ("inspect a --no-such-option", "No such option: --no-such-option (see `tfs inspect --help`)"),
        ("inspect a --signature", "Option '--signature' requires an argument"),
    ],
)
def test_wrong_usage_exits_with_two_and_one_line_on_stderr(tfs, arguments, message):
    done = tfs(*arguments.split())
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")


def test_a_number_that_is_none_is_wrong_usage(tfs):
    done = tfs("predict", "http://localhost:1", "--model=m", "--version=one")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: Invalid value for '--version': .* \(see `tfs predict --help`\)\n", done.stderr)


def _ended_by_ctrl_c(process):
    """Press Ctrl-C; again where Python had just looked for signals and went to wait without a look at this one."""
    for _ in range(10):
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(10)
        except subprocess.TimeoutExpired:
            pass
    raise AssertionError("ten times Ctrl-C did not end it")


def test_ctrl_c_exits_with_130_and_no_traceback():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(60)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with subprocess.Popen(
            [sys.executable, "-m", "tfs.cli", "predict", url, "--model=m"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that runs the tests in the background has them ignore Ctrl-C, which children inherit.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  no other threads here
        ) as process:
            try:
                process.stdin.write('{"instances": [1.0]}')
                process.stdin.close()
                connection, _ = silent.accept()
                with connection:
                    connection.settimeout(60)
                    assert connection.recv(1 << 16).startswith(b"GET /v1/models/m")
                    assert _ended_by_ctrl_c(process) == 130
                assert "Traceback" not in process.stderr.read()
            finally:
                process.kill()


def test_debug_adds_the_traceback_to_an_error(tfs, tmp_path):
    plain = tfs("inspect", tmp_path)
    assert "Traceback" not in plain.stderr
    debug = tfs("--debug", "inspect", tmp_path)
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr
    assert f"`{tmp_path}` is no SavedModel" in debug.stderr


def in_bash(argument: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run `tfs` with one argument as bash does for a user: Typer asks the process tree which shell this is."""
    script = os.path.join(os.path.dirname(sys.executable), "tfs")
    environment = {**os.environ, "HOME": str(home)}
    command = ["bash", "-c", f'"{script}" {argument}; exit $?']
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)


def test_completion_can_be_shown(tmp_path):
    done = in_bash("--show-completion", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "complete -o" in done.stdout
    assert not list(tmp_path.iterdir())


def test_completion_can_be_installed_and_completes_commands(tmp_path):
    done = in_bash("--install-completion", tmp_path)
    assert done.returncode == 0, done.stderr
    installed = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_tfs_completion" in path.read_text() for path in installed)
    environment = {**os.environ, "_TFS_COMPLETE": "complete_bash", "COMP_WORDS": "tfs ins", "COMP_CWORD": "1"}
    script = os.path.join(os.path.dirname(sys.executable), "tfs")
    done = subprocess.run([script], env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["inspect"]
