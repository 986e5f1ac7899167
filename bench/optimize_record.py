"""What was measured of one network by `bench/optimize.py`: kept as JSON, told as a row of a table."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from optimized_networks import NETWORKS

__all__ = ["NetworkRecord", "load_networks", "save_network", "table_of"]

_FOLDER = "optimize"


@dataclass(frozen=True)
class NetworkRecord:
    """What was measured of one network.

    Attributes:
        nodes: of the original with its functions, of the frozen graph, of the result.
        stored: bytes of original and result.
        left: batch norms that are left.
        error: the largest difference of an output, relative to its largest value.
        seconds: of all passes.
        written_peak, peak: the most memory above TensorFlow's own, over the original's bytes: until the result is
            written, and with the comparison.
        milliseconds: by batch size, the medians of original, Grappler alone and result.
        ratios: by batch size, the medians over the rounds of the result's time over that of original and of Grappler
            alone.
        about: date, command, machine, versions.
        busy_before: cores that other processes used before.
    """

    nodes: tuple[int, int, int]
    stored: tuple[int, int]
    left: int
    error: float
    seconds: float
    written_peak: float
    peak: float
    milliseconds: dict[str, tuple[float, float, float]]
    ratios: dict[str, tuple[float, float]]
    about: dict[str, str]
    busy_before: float


def save_network(results: Path, name: str, record: NetworkRecord) -> None:
    """Write the record of a network below the folder of all records."""
    (results / _FOLDER).mkdir(parents=True, exist_ok=True)
    (results / _FOLDER / f"{name}.json").write_text(json.dumps(asdict(record), indent=1) + "\n")


def load_networks(results: Path) -> dict[str, NetworkRecord]:
    """Return the records of all networks that have been measured, by name."""
    files = {name: results / _FOLDER / f"{name}.json" for name in NETWORKS}
    return {name: NetworkRecord(**json.loads(file.read_text())) for name, file in files.items() if file.is_file()}


def table_of(records: dict[str, NetworkRecord]) -> tuple[list[str], list[list[str]]]:
    """Return the titles of the columns and a row for each network."""
    sizes = sorted({int(size) for record in records.values() for size in record.milliseconds})
    titles = ["network", "frozen nodes -> result", "MB", "batch norms left", "largest error", "passes", "memory"]
    titles += [f"ms, batch of {size}: original, Grappler alone, result" for size in sizes]
    return titles, [[name, *_cells(record, sizes)] for name, record in records.items()]


def _cells(record: NetworkRecord, sizes: list[int]) -> list[str]:
    _, frozen, after = record.nodes
    stored, written = record.stored
    cells = [
        f"{frozen} -> {after} ({after / frozen:.2f})",
        f"{stored / 1e6:.1f} -> {written / 1e6:.1f} ({written / stored:.2f})",
        str(record.left),
        f"{record.error:.1e}",
        f"{record.seconds:.1f} s",
        f"{record.written_peak:.1f} x, {record.peak:.1f} x",
    ]
    for size in map(str, sizes):
        if size in record.milliseconds:
            times = ", ".join(f"{time:.2f}" for time in record.milliseconds[size])
            cells.append(f"{times} ({record.ratios[size][0]:.2f}, {record.ratios[size][1]:.2f})")
        else:
            cells.append("")
    return cells
