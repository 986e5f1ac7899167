"""What holds for every source file."""

import ast
import re
import subprocess
import sys

import pytest
from project import ROOT

_PACKAGES = ("cli", "exporters", "transforms", "savedmodel", "serve")
_MODULES = [file for package in _PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
_MAY_IMPORT = {
    "cli": {"cli", "exporters", "transforms", "serve", "savedmodel"},
    "exporters": {"exporters", "savedmodel"},
    "transforms": {"transforms", "savedmodel"},
    "serve": {"serve", "savedmodel"},
    "savedmodel": {"savedmodel"},
}
_TENSORFLOW = {"tensorflow", "tensorflow_text", "tensorflow_serving", "keras", "tf_keras"}
_MAX_LINES = 400

_of_module = pytest.mark.parametrize("file", _MODULES, ids=lambda file: str(file.relative_to(ROOT)))


def _imports(node):
    """The full names that the import statements in `node` ask for, with whether each stands in a function."""
    found = []

    def visit(node, in_function):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((alias.name, in_function) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, "relative import"
                found.extend((f"{child.module}.{alias.name}", in_function) for alias in child.names)
            visit(child, in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))

    visit(node, False)
    return found


def _tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@_of_module
def test_imports_point_one_way(file):
    package = file.relative_to(ROOT).parts[0]
    for name, _ in _imports(ast.parse(file.read_text())):
        if name.split(".")[0] == "tfs":
            assert name.split(".")[1] in _MAY_IMPORT[package], name


@_of_module
def test_tensorflow_is_imported_only_where_it_is_needed(file):
    for name, in_function in _imports(ast.parse(file.read_text())):
        if name.split(".")[0] in _TENSORFLOW:
            assert file.relative_to(ROOT).parts[0] in ("exporters", "transforms"), name
            assert in_function, f"{name} at the top of the module"


def _public_definitions(tree):
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


def _declared(tree):
    for node in tree.body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]:
            return ast.literal_eval(node.value)
    return None


@_of_module
def test_all_names_what_the_module_offers(file):
    tree = ast.parse(file.read_text())
    declared = _declared(tree)
    defined = set(_public_definitions(tree))
    if declared is None:
        assert not defined, f"no __all__, but {sorted(defined)}"
        return
    imported = {name.rpartition(".")[2] for name, in_function in _imports(tree) if not in_function}
    assert set(declared) <= defined | imported
    assert defined <= set(declared), f"not in __all__: {sorted(defined - set(declared))}"


def test_no_source_file_is_long():
    sources = [file for file in _tracked() if file.suffix in (".py", ".rs", ".lua", ".pyi")]
    assert len(sources) > 100
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in sources}
    assert {name: length for name, length in lengths.items() if length > _MAX_LINES} == {}


def test_no_path_of_one_machine_is_tracked():
    # The brackets keep the pattern from finding itself.
    paths = re.compile(rf"/(?:home|Users)/(?!me/)[a-z]|/roo[t]/|{re.escape(str(ROOT))}/|{re.escape(sys.prefix)}")
    found = {}
    for file in _tracked():
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        if match := paths.search(text):
            found[str(file.relative_to(ROOT))] = match[0]
    assert found == {}


def test_no_file_holds_what_a_merge_has_left():
    marks = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)
    found = []
    for file in _tracked():
        try:
            if marks.search(file.read_text()):
                found.append(str(file.relative_to(ROOT)))
        except UnicodeDecodeError:
            continue
    assert found == []
