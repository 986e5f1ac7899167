"""Measure `tfs optimize` on whole networks: size, equality, speed, cost. `python bench/optimize.py --help`.

Three models answer the same requests in turn, so that whatever else the machine does meets all of them: the original
(which TensorFlow's own optimizer, Grappler, rewrites when it is loaded, as in a server), what Grappler alone makes of
the frozen graph, and the result. Each network has processes of its own and a record; the table has all records.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from machine import about, busy_cores
from optimize_record import NetworkRecord, load_networks, save_network, table_of
from optimized_networks import NETWORKS
from report.markdown import table

from tfs.savedmodel.reading import meta_graph, read_saved_model, read_signatures
from tfs.savedmodel.synthetic import generate
from tfs.transforms import GraphView, OptimizeReport, optimize
from tfs.transforms.graph_view import Roots
from tfs.transforms.pipeline import run_passes
from tfs.transforms.registry import steps_of
from tfs.transforms.running import open_model
from tfs.transforms.tensorflow_runtime import quiet_tensorflow, release_memory

_RESULTS = Path(__file__).parents[1] / "build/bench/results"
_GRAPPLER_ALONE = "none grappler"
_FEWEST_ROUNDS = 7


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
    chosen = [] if options.table_only else names
    failed = [name for name in chosen if not _measured(name, options)]
    print(table(*table_of(load_networks(options.results))))
    if failed:
        sys.exit(f"error: not measured: {', '.join(failed)}")


def _measured(name: str, options: argparse.Namespace) -> bool:
    """Make a network and measure it, in processes of their own: what the one leaves in memory the other would reuse."""
    print(f"network {name}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="tfs-bench-") as scratch:
        original = Path(scratch) / "1"
        return _in_process(_make, name, original) and _in_process(_measure, name, original, options)


def _in_process(work: Callable[..., None], *arguments: object) -> bool:
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    return process.exitcode == 0


def _make(name: str, original: Path) -> None:
    quiet_tensorflow()
    NETWORKS[name](original)


def _measure(name: str, original: Path, options: argparse.Namespace) -> None:
    busy_before = busy_cores()
    quiet_tensorflow()
    alone, result = original.with_name("2"), original.with_name("3")
    report, written_peak, peak = _optimized(original, options.preset, result)
    optimize(original, _GRAPPLER_ALONE, output=alone, verification=None)
    times = {str(size): _interleaved((original, alone, result), size, options.seconds) for size in options.batch_sizes}
    record = NetworkRecord(
        nodes=(report.before.nodes, report.passes[1].nodes_after, report.after.nodes),
        stored=(report.before.bytes, report.after.bytes),
        left=_batch_norms_left(result),
        error=report.verification.largest_difference if report.verification else float("nan"),
        seconds=sum(entry.seconds for entry in report.passes),
        written_peak=written_peak,
        peak=peak,
        milliseconds={size: _medians(rounds) for size, rounds in times.items()},
        ratios={size: _ratios(rounds) for size, rounds in times.items()},
        about=about(f"python bench/optimize.py --only {name} --seconds {options.seconds:g}"),
        busy_before=busy_before,
    )
    save_network(options.results, name, record)


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


def _interleaved(models: tuple[Path, Path, Path], batch_size: int, seconds: float) -> list[tuple[float, ...]]:
    """Return the times of a request in ms to each model, round by round; who begins a round changes."""
    signature = read_signatures(models[0])["serving_default"]
    inputs = generate(signature, batch_size, 1)
    rounds = []
    with ExitStack() as opened:
        runners = [opened.enter_context(open_model(path, as_served=True)) for path in models]
        for runner in runners * 2:
            runner.answer(signature.name, inputs)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(rounds) < _FEWEST_ROUNDS:
            taken = [0.0] * len(runners)
            for turn in range(len(runners)):
                index = (len(rounds) + turn) % len(runners)
                started = time.perf_counter()
                runners[index].answer(signature.name, inputs)
                taken[index] = (time.perf_counter() - started) * 1e3
            rounds.append(tuple(taken))
    return rounds


def _medians(rounds: list[tuple[float, ...]]) -> tuple[float, float, float]:
    original, alone, result = (median(times) for times in zip(*rounds, strict=True))
    return original, alone, result


def _ratios(rounds: list[tuple[float, ...]]) -> tuple[float, float]:
    return median(result / original for original, _, result in rounds), median(
        result / alone for _, alone, result in rounds
    )


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


if __name__ == "__main__":
    main()
