from collections.abc import Callable, Iterable
from typing import Any

import pytest
from graphs import tf1, view_of

from tfs.savedmodel.errors import TfsError
from tfs.transforms.graph_pass import GraphPass, Invariant, PassResult
from tfs.transforms.graph_view import GraphView, NodeDef, Roots, Tensor, node_def
from tfs.transforms.pipeline import BrokenInvariantError, run_passes
from tfs.transforms.registry import Step, steps_of


def _view() -> GraphView:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [], name="x")
        tf.add(tf.exp(x, name="a"), tf.sin(x, name="b"), name="y")

    return view_of(build)


def _pass(change: Callable[[GraphView], GraphView], *, keeps: Iterable[Invariant] = Invariant) -> GraphPass:
    declared = frozenset(keeps)

    class _Changes:
        name = "changes"
        summary = "for a test"
        arguments = ()
        bodies = False
        invariants = declared

        def __call__(self, view: GraphView) -> PassResult:
            return PassResult(change(view), {"changes": 1})

    return _Changes()  # type: ignore[return-value]  # not a subclass: these are counted by another test


def _with(view: GraphView, **changed: NodeDef) -> GraphView:
    return GraphView({**view.nodes, **changed}.values(), view.roots)


def _dangling(view: GraphView) -> GraphView:
    return view.only({"x", "a", "y"})


def _without_root(view: GraphView) -> GraphView:
    return view.only({"x", "a", "b"})


def _other_roots(view: GraphView) -> GraphView:
    return view.with_roots(Roots(fetched=frozenset({Tensor("a", 0)})))


def _control_first(view: GraphView) -> GraphView:
    return _with(view, y=node_def("AddV2", "y", [Tensor("a", -1), Tensor("a", 0), Tensor("b", 0)]))


def _new_input(view: GraphView) -> GraphView:
    return _with(view, b=node_def("Placeholder", "b"))


def _cycle(view: GraphView) -> GraphView:
    return _with(view, a=node_def("Exp", "a", [Tensor("y", 0)]))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_dangling, Invariant.INPUTS_EXIST),
        (_without_root, Invariant.ROOTS_STAY),
        (_other_roots, Invariant.ROOTS_STAY),
        (_control_first, Invariant.CONTROL_LAST),
        (_new_input, Invariant.NO_NEW_INPUTS),
        (_cycle, Invariant.ACYCLIC),
    ],
)
def test_a_pass_that_breaks_what_it_declares_ends_the_run(change: Callable[[GraphView], GraphView], rule: Any) -> None:
    step = Step(_pass(change), ignore_errors=True)
    with pytest.raises(BrokenInvariantError, match="transform `changes` broke the graph at node") as caught:
        run_passes(_view(), [step])
    assert rule.value in str(caught.value)


def test_what_a_pass_does_not_declare_is_its_own_affair() -> None:
    step = Step(_pass(_new_input, keeps=set(Invariant) - {Invariant.NO_NEW_INPUTS}))
    view, _ = run_passes(_view(), [step])
    assert view.nodes["b"].op == "Placeholder"


def test_each_pass_is_reported_with_sizes_before_and_after() -> None:
    seen = []
    view = _view()
    steps = steps_of("strip_unused_nodes merge_duplicate_nodes")
    _, reports = run_passes(view, steps, lambda step, done, total: seen.append((step, done, total)))
    assert seen == [("strip_unused_nodes", 0, 2), ("merge_duplicate_nodes", 1, 2)]
    assert [report.nodes_before for report in reports] == [4, 4]
    assert reports[0].bytes_before == reports[0].bytes_after == view.byte_size == view.graph_def.ByteSize()
    assert all(report.seconds > 0 for report in reports)


def test_two_nodes_of_one_name_make_no_graph() -> None:
    with pytest.raises(ValueError, match="two nodes are called `a`"):
        GraphView([node_def("NoOp", "a"), node_def("NoOp", "a")], Roots())


def _fails(view: GraphView) -> GraphView:
    raise TfsError("no good")


def test_errors_name_the_transform_or_are_reported_when_told_to_be_ignored() -> None:
    view = _view()
    with pytest.raises(TfsError, match="transform `changes` failed: no good"):
        run_passes(view, [Step(_pass(_fails))])
    after, [report] = run_passes(view, [Step(_pass(_fails), ignore_errors=True)])
    assert after is view
    assert report.error == "no good"


def test_passes_leave_the_view_that_they_were_given_unchanged() -> None:
    view = _view()
    before = view.graph_def.SerializeToString(deterministic=True)
    run_passes(view, steps_of("fold_constants fold_old_batch_norms fold_batch_norms remove_nodes(op=Exp)"))
    again = type(view.graph_def)(node=view.nodes.values(), library=view.library, versions=view.versions)
    assert again.SerializeToString(deterministic=True) == before
