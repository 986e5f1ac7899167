"""A section of the page: how it is measured, what its targets are; and its record, which can be made again alone."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loads import Sample

from .result import Result, Table
from .targets import Target

__all__ = ["Record", "Section", "load_record", "save_record"]


@dataclass(frozen=True)
class Section:
    """A part of the benchmarks that can be run alone.

    Attributes:
        name: for `--only`, and of the file with its record.
        title: of its part of the page.
        measure: does the work, given the settings of the run.
        targets: the numbers to reach.
        text: what is measured and how to read it, Markdown.
        details: what stands below the tables, Markdown paragraphs.
        draw: draws the result into a PNG file, which the page shows.
        tools: the load generators that it needs.
        read: reads its record from the folder of all records where `measure` leaves several; else it is one file.
    """

    name: str
    title: str
    measure: Callable[[Any], Result]
    text: str
    targets: Callable[[Result], list[Target]] = lambda _: []
    details: Callable[[Result], list[str]] = lambda _: []
    draw: Callable[[Result, Path], None] | None = None
    tools: tuple[str, ...] = ("h2load",)
    read: "Callable[[Path], Record | None] | None" = None


@dataclass(frozen=True)
class Record:
    """A result with where it comes from.

    Attributes:
        result: what was measured.
        about: what the reader must know of the run: date, command, machine, versions.
        busy_before: how many cores other processes used before the section began.
    """

    result: Result
    about: dict[str, str]
    busy_before: float


def save_record(folder: Path, section: Section, record: Record) -> None:
    """Write a section's record, unless its `measure` has."""
    if section.read is None:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(record), indent=1)
        (folder / f"{section.name}.json").write_text(text + "\n")


def load_record(folder: Path, section: Section) -> Record | None:
    """Return a section's record, None if it was never measured."""
    if section.read is not None:
        return section.read(folder)
    file = folder / f"{section.name}.json"
    if not file.is_file():
        return None
    content = json.loads(file.read_text())
    result = Result(_tables(content["result"]["tables"]), content["result"]["figures"])
    return Record(result, content["about"], content["busy_before"])


def _tables(content: dict[str, Any]) -> dict[str, Table]:
    def row(samples: Any) -> Any:
        return samples if isinstance(samples, str) else [Sample(**sample) for sample in samples]

    return {
        title: Table(table["unit"], {name: row(samples) for name, samples in table["rows"].items()})
        for title, table in content.items()
    }
