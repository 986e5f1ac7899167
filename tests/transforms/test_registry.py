from pathlib import Path

import pytest

import tfs.transforms
from tfs.savedmodel.errors import UsageError
from tfs.transforms.graph_pass import GraphPass
from tfs.transforms.presets import PRESETS
from tfs.transforms.registry import PASSES, steps_of


def test_every_pass_has_a_file_and_a_test_file_of_its_name() -> None:
    folder = Path(next(iter(tfs.transforms.__path__)))
    for name, graph_pass in PASSES.items():
        assert graph_pass.name == name
        assert (folder / f"{name}.py").is_file()
        assert (Path(__file__).parent / f"test_{name}.py").is_file()


def test_every_pass_that_is_written_is_registered() -> None:
    assert set(PASSES.values()) == set(GraphPass.__subclasses__())


def test_the_default_list_is_made_of_known_transforms() -> None:
    assert {step.graph_pass.name for step in steps_of(DEFAULT_TRANSFORMS)} == set(PASSES) - {"remove_attribute"}


def test_ignore_errors_works_on_every_transform() -> None:
    needed = {"remove_nodes": "op=A,", "remove_attribute": "attribute_name=a,"}
    text = " ".join(f"{name}({needed.get(name, '')} ignore_errors=TRUE)" for name in PASSES)
    assert all(step.ignore_errors for step in steps_of(text))


def test_the_first_ignore_errors_counts() -> None:
    assert not steps_of("fold_constants(ignore_errors=false, ignore_errors=true)")[0].ignore_errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fold_everything", "unknown transform `fold_everything`"),
        ("remove_nodes", "transform `remove_nodes` needs the argument `op`"),
        ("remove_nodes(op=A, max_inputs=1, max_inputs=2)", "argument `max_inputs` is given 2 times"),
        ("remove_nodes(op=A, max_inputs=many)", "argument `max_inputs` must be of type int, not `many`"),
        ("fold_constants(clear_output_shapes=yes)", "argument `clear_output_shapes` must be true or false"),
        ("fold_constants(size=1)", "transform `fold_constants` has no argument `size`"),
        ("fold_batch_norms(ignore_errors=1)", "argument `ignore_errors` must be true or false, not `1`"),
        ("strip_unused_nodes(type=floaty)", "`floaty` is no data type"),
        ("strip_unused_nodes(shape=1x2)", "`1x2` is no shape"),
        ("strip_unused_nodes(name=a, name=b, type_for_name=int32)", "2 `name` and 1 `type_for_name` given"),
    ],
)
def test_wrong_arguments_are_wrong_usage(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        steps_of(text)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2
