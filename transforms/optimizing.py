"""`tfs optimize` as a library call: load, inline, freeze, transform, write, verify, publish."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.savedmodel.errors import UsageError
from tfs.savedmodel.publishing import publish_directory, replace_directory
from tfs.savedmodel.reading import read_saved_model, saved_model_file, signatures_of
from tfs.transforms.loading import load_model
from tfs.transforms.pipeline import PassReport, Progress, node_count, run_passes
from tfs.transforms.preparing import prepare
from tfs.transforms.presets import DEFAULT_PRESET
from tfs.transforms.registry import steps_of
from tfs.transforms.running import check_loads
from tfs.transforms.tensorflow_runtime import quiet_tensorflow
from tfs.transforms.verify import DEFAULT_TOLERANCE, Tolerance, Verification, verify
from tfs.transforms.writing import write_saved_model

__all__ = ["OptimizeReport", "Totals", "optimize"]

_STAGES = ("load", "inline and freeze", "transform", "write", "verify")


@dataclass(frozen=True)
class Totals:
    """Size of a model: nodes of graph and function bodies, bytes of `saved_model.pb` and `variables/`."""

    nodes: int
    bytes: int


@dataclass(frozen=True)
class OptimizeReport:
    """What `optimize` did.

    Attributes:
        saved_model: the directory that was read.
        output: the directory that was written.
        before, after: the model's size.
        passes: inlining, freezing and then each transform in order.
        frozen: names of the variables that became constants.
        kept: names of the variables that the model changes, which therefore stay variables.
        verification: the comparison with the original; None if it was not asked for.
        seconds: the whole run.
    """

    saved_model: Path
    output: Path
    before: Totals
    after: Totals
    passes: tuple[PassReport, ...]
    frozen: tuple[str, ...]
    kept: tuple[str, ...]
    verification: Verification | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report with stable keys, for JSON."""
        return {
            "saved_model": str(self.saved_model),
            "output": str(self.output),
            "nodes": {"before": self.before.nodes, "after": self.after.nodes},
            "bytes": {"before": self.before.bytes, "after": self.after.bytes},
            "variables": {"frozen": list(self.frozen), "kept": list(self.kept)},
            "passes": [report.to_dict() for report in self.passes],
            "verification": self.verification.to_dict() if self.verification else None,
            "seconds": round(self.seconds, 3),
        }


def optimize(
    saved_model: Path,
    transforms: str = DEFAULT_PRESET,
    *,
    output: Path | None = None,
    verification: Tolerance | None = DEFAULT_TOLERANCE,
    progress: Progress | None = None,
) -> OptimizeReport:
    """Optimize the SavedModel in directory `saved_model` and write the result as directory `output`.

    Signatures (names, dtypes, shapes, method names), tags, assets, warm-up records, tables and the init op are kept.
    Nothing is left behind on failure; `output` appears complete or not at all.

    Args:
        saved_model: a version directory, of TF 1 or TF 2.
        transforms: the transform string, or the name of a preset.
        output: the directory to make, which must not exist; None replaces `saved_model` in one step.
        verification: how close the result must be to the original; None writes it unchecked.
        progress: called with the stage under way, the number of stages done and of all stages.

    Raises:
        UsageError: `output` exists, or `transforms` is wrong; nothing was loaded.
        TfsError: the model cannot be read, a transform failed, or the result differs from the original.
    """
    started = time.perf_counter()
    steps = steps_of(transforms)
    if output is not None and (output.exists() or output.is_symlink()):
        raise UsageError(f"`{output}` exists", "name another --output, or use --in-place")
    target = saved_model.resolve() if output is None else output
    advance = progress or _no_progress
    before_bytes = _stored_bytes(saved_model)
    read_saved_model(saved_model)  # what is no SavedModel is refused before the seconds that TensorFlow's import takes
    quiet_tensorflow()

    advance(_STAGES[0], 0, len(_STAGES))
    publishing = replace_directory(target) if output is None else publish_directory(target)
    with load_model(saved_model) as model, publishing as directory:
        advance(_STAGES[1], 1, len(_STAGES))
        prepared = prepare(model)
        advance(_STAGES[2], 2, len(_STAGES))
        view, reports = run_passes(prepared.view, steps)
        advance(_STAGES[3], 3, len(_STAGES))
        write_saved_model(model, prepared, view, _renamed(reports), directory)
        check_loads(directory)
        advance(_STAGES[4], 4, len(_STAGES))
        signatures = signatures_of(model.meta_graph)
        checked = verify(saved_model, directory, signatures, verification) if verification else None
        after = Totals(node_count(view), _stored_bytes(directory))
    advance(_STAGES[4], 5, len(_STAGES))
    return OptimizeReport(
        saved_model=saved_model,
        output=target,
        before=Totals(prepared.reports[0].nodes_before, before_bytes),
        after=after,
        passes=(*prepared.reports, *reports),
        frozen=prepared.frozen,
        kept=prepared.kept,
        verification=checked,
        seconds=time.perf_counter() - started,
    )


def _renamed(reports: Iterable[PassReport]) -> dict[str, str]:
    """Return the first and the last name of every root that passes renamed."""
    names: dict[str, str] = {}
    for report in reports:
        known = set(names.values())
        names = {old: report.renamed.get(new, new) for old, new in names.items()}
        names.update((old, new) for old, new in report.renamed.items() if old not in known)
    return names


def _stored_bytes(directory: Path) -> int:
    """Return the bytes of the graph's file and the variables."""
    files = [saved_model_file(directory), *(directory / "variables").glob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def _no_progress(step: str, done: int, total: int) -> None:
    """Show nothing."""
