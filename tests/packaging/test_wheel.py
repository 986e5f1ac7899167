"""The wheel runs without the sources and without a Rust toolchain. (That it serves is tested with the README.)"""

import json
import zipfile

import pytest
from project import ROOT

# The first test waits for the wheel, whose engine may have to be compiled.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_one_wheel_serves_every_python_from_3_10_on(wheel):
    assert wheel.name.startswith("tfs-0.1.0-cp310-abi3-")
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [archive.read(name).decode() for name in archive.namelist() if name.endswith("/WHEEL")]
    assert "Tag: cp310-abi3-" in metadata
    assert "Root-Is-Purelib: false" in metadata


def test_there_is_nothing_at_the_top_but_tfs(names):
    assert {name.split("/")[0] for name in names} == {"tfs", "tfs-0.1.0.dist-info"}


def test_every_module_is_packed_and_nothing_else(names):
    expected = set()
    for package in ("cli", "exporters", "transforms", "savedmodel", "serve"):
        expected |= {f"tfs/{file.relative_to(ROOT)}" for file in (ROOT / package).rglob("*.py")}
        expected.add(f"tfs/{package}/py.typed")
    expected |= {f"tfs/{file.relative_to(ROOT)}" for file in (ROOT / "cli").glob("*.[cj]s*")}
    expected |= {"tfs/serve/_engine.abi3.so", "tfs/serve/_engine.pyi"}
    assert {name for name in names if name.startswith("tfs/")} == expected


def test_the_licence_is_packed(names):
    assert [name for name in names if name.endswith("/licenses/LICENSE")]


def test_modules_come_from_the_wheel(installed, tmp_path):
    code = (
        "import json, sys\n"
        "import tfs.cli.inspect, tfs.cli.serve, tfs.exporters, tfs.savedmodel.errors\n"
        "import tfs.serve._engine, tfs.transforms\n"
        "print(json.dumps([m.__file__ for name, m in sys.modules.items() if name.startswith('tfs.')]))"
    )
    done = installed.run("python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    files = json.loads(done.stdout)
    assert len(files) > 10
    assert all(file.startswith(str(installed.folder)) for file in files), files


def test_the_console_script_runs(installed, tmp_path):
    done = installed.run(installed.folder / "bin" / "tfs", "--version", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tfs 0.1.0\n")
