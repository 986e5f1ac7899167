"""From a loaded model to one graph that passes can work on: calls inlined, variables frozen, state carried over."""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tfs.transforms.freezing import MAX_FROZEN_BYTES, freeze_variables
from tfs.transforms.graph_view import GraphView
from tfs.transforms.inlining import inline_functions
from tfs.transforms.pipeline import PassReport, node_count
from tfs.transforms.state import State, add_saver
from tfs.transforms.tables import carry_tables

if TYPE_CHECKING:
    from tfs.transforms.loading import LoadedModel

__all__ = ["PreparedGraph", "prepare"]


@dataclass(frozen=True)
class PreparedGraph:
    """A model's graph, ready for passes.

    Attributes:
        view: the graph under its roots.
        state: saver and values of the variables that stay; None if all were frozen.
        frozen: names of the variables that became constants.
        too_large: names of the variables that stay because no graph has room for them.
        reports: what inlining and freezing changed.
    """

    view: GraphView
    state: State | None
    frozen: tuple[str, ...]
    too_large: frozenset[str]
    reports: tuple[PassReport, ...]

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the variables that stay: the model changes them, or they are too large."""
        return () if self.state is None else tuple(sorted(self.state.values))


def prepare(model: "LoadedModel", max_frozen_bytes: int = MAX_FROZEN_BYTES) -> PreparedGraph:
    """Return the model's graph with calls inlined and variables frozen.

    Raises:
        TfsError: TensorFlow refuses to inline, a variable has no value, or a table cannot be carried over.
    """
    started = time.perf_counter()
    stored = model.view.byte_size + model.large_constants.byte_size
    inlined = model.large_constants.put_back(inline_functions(model.view))
    inlined_at = time.perf_counter()
    frozen = freeze_variables(model, inlined, max_frozen_bytes)
    view = carry_tables(model, frozen.view)
    view, state = add_saver(view, frozen.kept) if frozen.kept else (view, None)
    done_at = time.perf_counter()
    reports = (
        replace(_report("inline functions", model.view, inlined, inlined_at - started, {}), bytes_before=stored),
        _report("freeze variables", inlined, view, done_at - inlined_at, {"variables frozen": len(frozen.frozen)}),
    )
    return PreparedGraph(view, state, frozen.frozen, frozen.too_large, reports)


def _report(name: str, before: GraphView, after: GraphView, seconds: float, done: dict[str, int]) -> PassReport:
    sizes = (node_count(before), node_count(after), before.byte_size, after.byte_size)
    return PassReport(name, *sizes, seconds, {what: count for what, count in done.items() if count}, ())
