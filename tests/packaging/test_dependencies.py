"""docs/dependencies.md lists what pyproject.toml and Cargo.toml ask for, no more and no less."""

import re

from project import ROOT

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10; pytest brings it there
    import tomli as tomllib

_PAGE = (ROOT / "docs" / "dependencies.md").read_text()
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_CRATE = tomllib.loads((ROOT / "serve" / "engine" / "Cargo.toml").read_text())


def _rows(head):
    """The rows of the table that begins with this line of titles, as lists of cells without backticks."""
    _, _, rest = _PAGE.partition(f"{head}\n")
    lines = rest.splitlines()[1:]
    table = lines[: next(number for number, line in enumerate([*lines, ""]) if not line.startswith("|"))]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in table]


def _split(requirement):
    name, bounds = re.fullmatch(r"([A-Za-z0-9_-]+)(?:\[[^]]*\])?(.*)", requirement).groups()
    return name, bounds or "any"


def test_every_dependency_in_python():
    rows = _rows("| Package | Range | What for | Why this one |")
    assert {(name, bounds) for name, bounds, *_ in rows} == {*map(_split, _PROJECT["project"]["dependencies"])}
    assert all(len(row) == 4 and all(row) for row in rows)


def test_every_dependency_of_an_extra():
    rows = _rows("| Package | Extra | Range | What for | Why this one |")
    extras = _PROJECT["project"]["optional-dependencies"]
    wanted = {
        (extra, *_split(requirement))
        for extra, requirements in extras.items()
        for requirement in requirements
        if not requirement.startswith("tfs[")
    }
    assert {(extra, name, bounds) for name, extra, bounds, *_ in rows} == wanted
    assert all(len(row) == 5 and all(row) for row in rows)


def test_what_the_build_needs():
    for name, bounds in map(_split, _PROJECT["build-system"]["requires"]):
        assert f"`{name}` (`{bounds}`" in _PAGE


def test_every_crate():
    rows = _rows("| Crate | Range | What for | Why this one |")
    crates = {**_CRATE["dependencies"], **_CRATE["dev-dependencies"]}
    versions = {(name, spec if isinstance(spec, str) else spec["version"]) for name, spec in crates.items()}
    assert {(name, bounds) for name, bounds, *_ in rows} == versions
    assert all(len(row) == 4 and all(row) for row in rows)
