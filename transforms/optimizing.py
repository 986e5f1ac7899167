"""`tfs optimize` as a library call: load, inline, freeze, transform, write, verify, publish."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.input_hints import InputHints, hints_of
from tfs.savedmodel.publishing import publish_directory, replace_directory
from tfs.savedmodel.reading import Signature, meta_graph, read_saved_model, saved_model_file, signatures_of
from tfs.transforms.comparing import Tolerance
from tfs.transforms.grammar import joined
from tfs.transforms.loading import load_model
from tfs.transforms.pipeline import PassReport, Progress, run_passes
from tfs.transforms.preparing import prepare
from tfs.transforms.presets import DEFAULT_PRESET
from tfs.transforms.provenance import add_provenance
from tfs.transforms.registry import Step, steps_of
from tfs.transforms.running import check_functions_load
from tfs.transforms.tensorflow_runtime import quiet_tensorflow, release_memory
from tfs.transforms.verification_inputs import Samples
from tfs.transforms.verify import Verification, serve_once, verify
from tfs.transforms.writing import write_saved_model

__all__ = ["OptimizeReport", "Totals", "optimize"]

_TOLERANCE = Tolerance()
_STAGES = 4  # besides the transforms: load, inline and freeze, write, verify
_CHANGED = "the model changes it"
_TOO_LARGE = "a graph has no room for it"


@dataclass(frozen=True)
class Totals:
    """Size of a model.

    Attributes:
        nodes: number of nodes, those of function bodies included.
        functions: number of functions.
        ops: how often each op occurs.
        graph_bytes: the file `saved_model.pb`.
        constant_bytes: the part of it that is constants.
        variable_bytes: the files of `variables/`.
    """

    nodes: int
    functions: int
    ops: Mapping[str, int]
    graph_bytes: int
    constant_bytes: int
    variable_bytes: int

    @property
    def bytes(self) -> int:
        """What a server reads: graph and variables."""
        return self.graph_bytes + self.variable_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers with stable keys, for JSON."""
        return {**asdict(self), "ops": dict(sorted(self.ops.items())), "bytes": self.bytes}


@dataclass(frozen=True)
class OptimizeReport:
    """What `optimize` did.

    Attributes:
        saved_model: the directory that was read.
        output: the directory that was written; None for a dry run.
        transforms: the transform string.
        before, after: the model's size.
        passes: inlining, freezing and then each transform in order.
        frozen: names of the variables that became constants.
        kept: names of the variables that stay variables and why.
        verification: the comparison with the original; None if it was not asked for.
        seconds: the whole run.
    """

    saved_model: Path
    output: Path | None
    transforms: str
    before: Totals
    after: Totals
    passes: tuple[PassReport, ...]
    frozen: tuple[str, ...]
    kept: Mapping[str, str]
    verification: Verification | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report with stable keys, for JSON."""
        return {
            "saved_model": str(self.saved_model),
            "output": None if self.output is None else str(self.output),
            "transforms": self.transforms,
            "nodes": {"before": self.before.nodes, "after": self.after.nodes},
            "bytes": {"before": self.before.bytes, "after": self.after.bytes},
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "variables": {"frozen": list(self.frozen), "kept": dict(self.kept)},
            "passes": [report.to_dict() for report in self.passes],
            "verification": self.verification.to_dict() if self.verification else None,
            "seconds": round(self.seconds, 3),
        }


def optimize(  # noqa: PLR0913  (its arguments are the options of the command)
    saved_model: Path,
    transforms: str | Sequence[str] = DEFAULT_PRESET,
    *,
    output: Path | None = None,
    dry_run: bool = False,
    verification: Tolerance | None = _TOLERANCE,
    verify_data: Path | None = None,
    progress: Progress | None = None,
) -> OptimizeReport:
    """Optimize the SavedModel in directory `saved_model` and write the result as directory `output`.

    Signatures (names, dtypes, shapes, method names), tags, assets, warm-up records, tables and the init op are kept.
    The result is loaded, and each of its signatures asked once, before it is published. Nothing is left behind on
    failure; `output` appears complete or not at all.

    Args:
        saved_model: a version directory, of TF 1 or TF 2.
        transforms: the transform string, which may name presets; or a list of such, in Python or as text.
        output: the directory to make, which must not exist; None replaces `saved_model` in one step.
        dry_run: do all the work and publish nothing.
        verification: how close the result must be to the original; None writes it uncompared.
        verify_data: samples to compare on (`.jsonl`, `.npz`), in place of warm-up records or generated inputs.
        progress: called with the step under way, the number of steps done and of all steps.

    Raises:
        UsageError: `output` exists, or `transforms` is wrong; nothing was loaded.
        TfsError: the model cannot be read, a transform failed, or the result differs from the original.
    """
    started = time.perf_counter()
    transforms = joined(transforms)
    steps = steps_of(transforms)
    if output is not None and (output.exists() or output.is_symlink()):
        raise UsageError(f"`{output}` exists", "name another --output, or use --in-place")
    target = saved_model.resolve() if output is None else output
    if verify_data is not None and not verify_data.is_file():
        raise TfsError(f"`{verify_data}` does not exist")
    before = _totals(saved_model)  # what is no SavedModel is refused before the seconds that TensorFlow's import takes
    quiet_tensorflow()

    stages = _Stages(progress, len(steps) + _STAGES)
    with _publishing(target, replace=output is None, dry_run=dry_run) as directory:
        rewritten = _rewrite(saved_model, steps, stages, directory)
        add_provenance(directory, transforms)
        check_functions_load(directory)
        release_memory()
        stages.next("verify")
        signatures, samples = rewritten.signatures, Samples(rewritten.hints, verify_data)
        if verification is None:
            checked = None
            serve_once(saved_model, directory, signatures, samples)
        else:
            tolerance = verification.after(max((step.graph_pass.rounding for step in steps), default=0.0))
            checked = verify(saved_model, directory, signatures, tolerance, samples)
        after = _totals(directory)
    stages.next("done")
    return OptimizeReport(
        saved_model=saved_model,
        output=None if dry_run else target,
        transforms=" ".join(transforms.split()),
        before=before,
        after=after,
        passes=rewritten.passes,
        frozen=rewritten.frozen,
        kept=rewritten.kept,
        verification=checked,
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True)
class _Rewritten:
    """What is known once the result is written, without the graphs, which take memory."""

    signatures: Mapping[str, Signature]
    hints: InputHints
    passes: tuple[PassReport, ...]
    frozen: tuple[str, ...]
    kept: Mapping[str, str]


def _rewrite(saved_model: Path, steps: Sequence[Step], stages: "_Stages", directory: Path) -> _Rewritten:
    """Load the model, run the passes, and write the result into `directory`."""
    with load_model(saved_model) as model:
        stages.next("inline and freeze")
        prepared = prepare(model)
        view, reports = run_passes(prepared.view, steps, lambda name, _done, _total: stages.next(name))
        stages.next("write")
        write_saved_model(model, prepared, view, _renamed(reports), directory)
        return _Rewritten(
            signatures_of(model.meta_graph),
            hints_of(model.meta_graph, saved_model),
            (*prepared.reports, *reports),
            prepared.frozen,
            {name: _TOO_LARGE if name in prepared.too_large else _CHANGED for name in prepared.kept},
        )


class _Stages:
    """Tells `progress` of each step as it begins; the first has begun."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = -1
        self.next("load")

    def next(self, step: str) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(step, self._done, self._total)


@contextmanager
def _publishing(target: Path, *, replace: bool, dry_run: bool) -> Iterator[Path]:
    """Yield an empty directory that is published as `target` when the block ends well, or dropped."""
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="tfs-optimize-") as scratch:
            yield Path(scratch)
        return
    with replace_directory(target) if replace else publish_directory(target) as directory:
        yield directory


def _totals(directory: Path) -> Totals:
    graph = meta_graph(read_saved_model(directory), directory).graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    variables = [file for file in (directory / "variables").glob("*") if file.is_file()]
    return Totals(
        nodes=len(nodes),
        functions=len(graph.library.function),
        ops=Counter(node.op for node in nodes),
        graph_bytes=saved_model_file(directory).stat().st_size,
        constant_bytes=sum(node.attr["value"].tensor.ByteSize() for node in nodes if node.op == "Const"),
        variable_bytes=sum(file.stat().st_size for file in variables),
    )


def _renamed(reports: Iterable[PassReport]) -> dict[str, str]:
    """Return the first and the last name of every root that passes renamed."""
    names: dict[str, str] = {}
    for report in reports:
        known = set(names.values())
        names = {old: report.renamed.get(new, new) for old, new in names.items()}
        names.update((old, new) for old, new in report.renamed.items() if old not in known)
    return names
