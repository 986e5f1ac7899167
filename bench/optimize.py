"""Measure `tfs optimize` on whole networks: size, equality, speed, cost. `python bench/optimize.py --help`.

Three models answer the same requests in turn, so that whatever else the machine does meets all of them: the original
(which TensorFlow's own optimizer, Grappler, rewrites when it is loaded, as in a server), what Grappler alone makes of
the frozen graph, and the result. Each network has a process of its own and a record; the table has all records.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import about, busy_cores
from optimized_networks import NETWORKS

from tfs.savedmodel.reading import meta_graph, read_saved_model, read_signatures
from tfs.savedmodel.synthetic import generate
from tfs.transforms import GraphView, OptimizeReport, optimize
from tfs.transforms.graph_view import Roots
from tfs.transforms.pipeline import run_passes
from tfs.transforms.registry import steps_of
from tfs.transforms.running import open_model
from tfs.transforms.tensorflow_runtime import quiet_tensorflow, release_memory

_RESULTS = Path(__file__).parents[1] / "build/bench/results/optimize"
_GRAPPLER_ALONE = "none grappler"
_TITLES = (
    *("model", "frozen nodes -> result", "MB", "batch norms left", "largest error", "passes, s"),
    *("memory until written / model", "memory with the comparison / model"),
)


@dataclass(frozen=True)
class Record:
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
    about: dict[str, str]
    busy_before: float


def main() -> None:
    """Measure the networks asked for and print the table of all that have been measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--only", help=f"networks, separated by commas, of: {', '.join(NETWORKS)}")
    parser.add_argument("--table-only", action="store_true", help="measure nothing")
    parser.add_argument("--preset", default="serving")
    parser.add_argument("--seconds", type=float, default=6.0, help="per network and batch size")
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--results", type=Path, default=_RESULTS, help="where the records are kept")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [*NETWORKS]
    if unknown := sorted(set(names) - NETWORKS.keys()):
        parser.error(f"--only: there is no network {', '.join(unknown)}; take from {', '.join(NETWORKS)}")
    options.results.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in [] if options.table_only else names:
        print(f"network {name}", file=sys.stderr)
        process = multiprocessing.get_context("spawn").Process(target=_measure, args=(name, options))
        process.start()
        process.join()
        failed += [name] * (process.exitcode != 0)
    print(_table(options.results))
    if failed:
        sys.exit(f"error: not measured: {', '.join(failed)}")


def _measure(name: str, options: argparse.Namespace) -> None:
    busy_before = busy_cores()
    quiet_tensorflow()
    with tempfile.TemporaryDirectory(prefix="tfs-bench-") as scratch:
        original, alone, result = (Path(scratch) / version for version in "123")
        NETWORKS[name](original)
        optimize(original, _GRAPPLER_ALONE, output=alone, verification=None)
        report, written_peak, peak = _optimized(original, options.preset, result)
        models = (original, alone, result)
        record = Record(
            nodes=(report.before.nodes, report.passes[1].nodes_after, report.after.nodes),
            stored=(report.before.bytes, report.after.bytes),
            left=_batch_norms_left(result),
            error=report.verification.largest_difference if report.verification else float("nan"),
            seconds=sum(entry.seconds for entry in report.passes),
            written_peak=written_peak,
            peak=peak,
            milliseconds={str(size): _interleaved(models, size, options.seconds) for size in options.batch_sizes},
            about=about(f"python bench/optimize.py --only {name} --seconds {options.seconds:g}"),
            busy_before=busy_before,
        )
    (options.results / f"{name}.json").write_text(json.dumps(asdict(record), indent=1) + "\n")


def _optimized(original: Path, transforms: str, result: Path) -> tuple[OptimizeReport, float, float]:
    """Return the report, and the most memory above that of before, until the result is written and at all."""
    start = _reset_peak()
    until: list[int] = []

    def note(step: str, _done: int, _total: int) -> None:
        if step == "verify":
            until.append(_peak())

    report = optimize(original, transforms, output=result, progress=note)
    until.append(_peak())
    written, whole = ((peak - start) / max(report.before.bytes, 1) for peak in until)
    return report, written, whole


def _interleaved(models: tuple[Path, Path, Path], batch_size: int, seconds: float) -> tuple[float, float, float]:
    """Return the median time of a request in ms for each model, asked in turn."""
    signature = read_signatures(models[0])["serving_default"]
    inputs = generate(signature, batch_size, 1)
    taken: list[list[float]] = [[] for _ in models]
    with ExitStack() as opened:
        runners = [opened.enter_context(open_model(path, as_served=True)) for path in models]
        for runner in runners * 2:
            runner.answer(signature.name, inputs)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(taken[0]) < 5:
            for runner, times in zip(runners, taken, strict=True):
                started = time.perf_counter()
                runner.answer(signature.name, inputs)
                times.append(time.perf_counter() - started)
    first, second, third = (float(np.median(times)) * 1e3 for times in taken)
    return first, second, third


def _batch_norms_left(path: Path) -> int:
    """Count fused batch norms, and the scales that another run of the folding passes would still fold."""
    loaded = meta_graph(read_saved_model(path), path)
    outputs = {info.name.split(":")[0] for s in loaded.signature_def.values() for info in s.outputs.values()}
    view = GraphView.of(loaded.graph_def, Roots(nodes=frozenset(outputs)))
    reports = run_passes(view, steps_of("fold_old_batch_norms fold_batch_norms"))[1]
    return sum(node.op.startswith("FusedBatchNorm") for node in view) + sum(
        count for report in reports for count in report.done.values()
    )


def _reset_peak() -> int:
    release_memory()
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """Return the most memory that this process has used since the last reset, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _table(results: Path) -> str:
    records = {name: json.loads(file.read_text()) for name in NETWORKS if (file := results / f"{name}.json").is_file()}
    sizes = sorted({int(size) for record in records.values() for size in record["milliseconds"]})
    titles = [*_TITLES, *(f"ms, batch of {size} (over original, over Grappler alone)" for size in sizes)]
    lines = [" | ".join(titles), " | ".join(["---"] * len(titles))]
    lines += [" | ".join([name, *_cells(record, sizes)]) for name, record in records.items()]
    notes = [
        f"{name}: {', '.join(record['about'].values())}, {record['busy_before']:.2f} cores used by others before"
        for name, record in records.items()
    ]
    return "\n".join([*(f"| {line} |" for line in lines), "", *notes])


def _cells(record: dict[str, Any], sizes: list[int]) -> list[str]:
    _, frozen, after = record["nodes"]
    before_bytes, after_bytes = record["stored"]
    cells = [
        f"{frozen} -> {after} ({after / frozen:.2f})",
        f"{before_bytes / 1e6:.1f} -> {after_bytes / 1e6:.1f} ({after_bytes / before_bytes:.2f})",
        str(record["left"]),
        f"{record['error']:.1e}",
        f"{record['seconds']:.1f}",
        f"{record['written_peak']:.1f}",
        f"{record['peak']:.1f}",
    ]
    for size in sizes:
        if str(size) in record["milliseconds"]:
            first, alone, result = record["milliseconds"][str(size)]
            cells.append(f"{first:.2f} -> {result:.2f} ({result / first:.2f}, {result / alone:.2f})")
        else:
            cells.append("")
    return cells


if __name__ == "__main__":
    main()
