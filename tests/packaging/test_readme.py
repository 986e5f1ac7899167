"""The README's commands do what it says, in an environment that has the wheel and no Rust."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from project import ROOT

# The first test waits for the wheel, whose engine may have to be compiled.
pytestmark = pytest.mark.timeout(900)

_README = (ROOT / "README.md").read_text()
_READY = re.compile(r"ready: grpc=(\S+) rest=(\S+)")


def _blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", _README, re.MULTILINE | re.DOTALL)


def _examples():
    """Each command of the console blocks with the output shown for it."""
    pieces = [piece for block in _blocks("console") for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(command, output) for command, _, output in (piece.partition("\n") for piece in pieces)]


@pytest.fixture
def launch(installed, tmp_path):
    """Start a command of the wheel in the background; it is ended after the test if the test did not do so."""
    processes = []

    def start(command):
        processes.append(
            subprocess.Popen(
                command,
                executable=installed.folder / "bin" / command[0],
                cwd=tmp_path,
                env=installed.environment,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait(30)
        process.stderr.close()


def test_the_quick_start_leads_to_an_endpoint(installed, tmp_path, launch):
    [model] = _blocks("python")
    (tmp_path / "half_plus_two.py").write_text(model)
    commands = dict(_examples())
    # `installed` is what the first command makes.
    install, export, serve, curl = list(commands)[:4]
    assert install == "pip install ."

    done = installed.run(*shlex.split(export), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # Its own ports may be taken on this machine.
    server = launch([*shlex.split(serve), "--port=-1", "--rest_api_port=-1"])
    log = []
    ready = next((found for line in server.stderr if log.append(line) or (found := _READY.search(line))), None)
    assert ready, "".join(log)
    done = installed.run(*shlex.split(curl.replace("127.0.0.1:8501", ready[2])), cwd=tmp_path)
    assert done.stdout.strip() == commands[curl].strip()
    server.terminate()
    server.stderr.read()
    assert server.wait(30) == 0


def test_the_other_commands_are_targets_of_make():
    others = [command for command, _ in _examples()][4:]
    assert others
    for command in others:
        assert command.startswith("make ")
        subprocess.run([*shlex.split(command), "-n"], cwd=ROOT, check=True, capture_output=True, timeout=60)


def test_every_command_is_named_with_its_page(installed, tmp_path):
    shown = installed.run("tfs", "--help", cwd=tmp_path).stdout
    commands = re.findall(r"^  ([a-z]+) {2}", shown, re.MULTILINE)
    assert commands
    assert re.findall(r"^\| \[`tfs ([a-z]+)`\]", _README, re.MULTILINE) == commands


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (ROOT / Path(page).parent / target).exists(), target


def test_files_that_the_architecture_page_names_exist():
    page = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"[\w/]+\.(?:rs|pyi?|toml)\b", page))
    assert len(named) > 10
    for name in named:
        assert [*ROOT.glob(name), *ROOT.glob(f"serve/engine/src/**/{name}")], name
