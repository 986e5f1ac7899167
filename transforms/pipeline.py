"""Running passes one after the other: what each changed, how long it took, and that it kept its promises."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.transforms.function_bodies import body_view, function_of
from tfs.transforms.graph_pass import GraphPass, Invariant, PassResult, Skip
from tfs.transforms.graph_view import CONTROL, GraphView, Tensor
from tfs.transforms.registry import Step

__all__ = ["BrokenInvariantError", "PassReport", "Progress", "check", "node_count", "run_passes"]

_LOG = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})


class BrokenInvariantError(TfsError):
    """A pass left a graph that breaks a rule which it declared to keep: an error in the pass, not in the model."""


@dataclass(frozen=True)
class PassReport:
    """What one pass of a pipeline did.

    Attributes:
        name: the transform.
        nodes_before, nodes_after: number of nodes, those of function bodies included.
        bytes_before, bytes_after: size of the graph in a file.
        seconds: time it took.
        done: what was done, by sentence part and count.
        skipped: what was left alone and why.
        error: why the pass was given up, with `ignore_errors=true`; the graph then is the one from before.
        renamed: old and new name of the signatures' nodes that are called otherwise now.
    """

    name: str
    nodes_before: int
    nodes_after: int
    bytes_before: int
    bytes_after: int
    seconds: float
    done: dict[str, int]
    skipped: tuple[Skip, ...]
    error: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the report with stable keys, for JSON."""
        return {
            "name": self.name,
            "nodes": {"before": self.nodes_before, "after": self.nodes_after},
            "bytes": {"before": self.bytes_before, "after": self.bytes_after},
            "seconds": round(self.seconds, 4),
            "done": self.done,
            "skipped": [{"node": skip.node, "reason": skip.reason} for skip in self.skipped],
            "error": self.error,
        }


def node_count(view: GraphView) -> int:
    """Return the number of nodes of a graph and its function bodies."""
    return len(view) + sum(len(function.node_def) for function in view.library.function)


def run_passes(
    view: GraphView, steps: Sequence[Step], progress: Progress | None = None
) -> tuple[GraphView, list[PassReport]]:
    """Run the steps in order and return the last graph and one report for each step.

    Raises:
        TfsError: a pass failed and has no `ignore_errors=true`; the message names it.
        BrokenInvariantError: a pass broke what it declared to keep, whether or not errors are ignored.
    """
    reports = []
    for number, step in enumerate(steps):
        if progress is not None:
            progress(step.graph_pass.name, number, len(steps))
        started = time.perf_counter()
        result, error = _run(step, view)
        seconds = time.perf_counter() - started
        if result.view is not view:
            check(step.graph_pass, view, result.view)
        after = result.view
        counts = (node_count(view), node_count(after), view.byte_size, after.byte_size)
        report = PassReport(step.graph_pass.name, *counts, seconds, dict(result.done), result.skipped, error)
        reports.append(replace(report, renamed=dict(result.renamed)))
        _LOG.info("%s: %d nodes, %d bytes", report.name, report.nodes_after, report.bytes_after)
        view = after
    return view, reports


def _run(step: Step, view: GraphView) -> tuple[PassResult, str | None]:
    name = step.graph_pass.name
    try:
        result = step.graph_pass(view)
        return (_with_bodies(step.graph_pass, result) if step.graph_pass.bodies else result), None
    except (TfsError, ValueError, TypeError) as error:
        if not step.ignore_errors:
            raise TfsError(f"transform `{name}` failed: {error}", f"`{name}(ignore_errors=true)` skips it") from error
        _LOG.warning("transform %s failed and is left out: %s", name, error)
        return PassResult(view), str(error)


def _with_bodies(graph_pass: GraphPass, result: PassResult) -> PassResult:
    """Apply a pass to the function bodies that the main graph still uses."""
    library = type(result.view.library)()
    library.CopyFrom(result.view.library)
    done, skipped, changed = dict(result.done), list(result.skipped), False
    for function in library.function:
        body = body_view(function, result.view.library)
        if body is None:
            continue
        inner = graph_pass(body)
        skipped.extend(Skip(f"{function.signature.name}/{skip.node}", skip.reason) for skip in inner.skipped)
        if inner.view is body:
            continue
        check(graph_pass, body, inner.view)
        function.CopyFrom(function_of(inner.view, function))
        changed = True
        for what, count in inner.done.items():
            done[what] = done.get(what, 0) + count
    view = result.view.with_library(library) if changed else result.view
    return PassResult(view, done, tuple(skipped), result.renamed)


def check(graph_pass: GraphPass, before: GraphView, after: GraphView) -> None:
    """Compare the graph after a pass with the one before it.

    Raises:
        BrokenInvariantError: an invariant that the pass declares does not hold; the message names pass, rule and node.
    """
    for invariant in (rule for rule in Invariant if rule in graph_pass.invariants):
        node = _CHECKS[invariant](before, after)
        if node is not None:
            raise BrokenInvariantError(
                f"transform `{graph_pass.name}` broke the graph at node `{node}`: not so that {invariant.value}",
                "please report this with the model",
            )


def _dangling(_: GraphView, after: GraphView) -> str | None:
    return next((n.name for n in after for text in n.input if Tensor.parse(text).node not in after.nodes), None)


def _lost_root(before: GraphView, after: GraphView) -> str | None:
    if after.roots != before.roots:
        return next(iter(before.roots.names ^ after.roots.names), "?")
    return next((name for name in sorted(before.roots.names) if name not in after.nodes), None)


def _data_behind_control(_: GraphView, after: GraphView) -> str | None:
    for node in after:
        is_control = [Tensor.parse(text).port == CONTROL for text in node.input]
        if is_control != sorted(is_control):
            return str(node.name)
    return None


def _new_placeholder(before: GraphView, after: GraphView) -> str | None:
    known = {node.name for node in before if node.op in _PLACEHOLDERS}
    return next((node.name for node in after if node.op in _PLACEHOLDERS and node.name not in known), None)


def _on_cycle(before: GraphView, after: GraphView) -> str | None:
    if len(after.order) == len(after):
        return None
    unordered = set(before.nodes) - set(before.order)
    ordered = set(after.order)
    return next((name for name in after.nodes if name not in ordered and name not in unordered), None)


_CHECKS: dict[Invariant, Callable[[GraphView, GraphView], str | None]] = {
    Invariant.INPUTS_EXIST: _dangling,
    Invariant.ROOTS_STAY: _lost_root,
    Invariant.CONTROL_LAST: _data_behind_control,
    Invariant.NO_NEW_INPUTS: _new_placeholder,
    Invariant.ACYCLIC: _on_cycle,
}
