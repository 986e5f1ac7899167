import re
from pathlib import Path

import pytest

import tfs.transforms.passes
from tfs.savedmodel.errors import UsageError
from tfs.transforms.presets import PRESETS
from tfs.transforms.registry import PASSES, steps_of


def test_every_pass_is_one_file_of_its_name_with_a_pattern_and_a_test() -> None:
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    files = {file.stem for file in Path(next(iter(tfs.transforms.passes.__path__))).glob("*.py")} - {"__init__"}
    assert files == PASSES.keys()
    for name, graph_pass in PASSES.items():
        assert graph_pass.name == name
        assert graph_pass.__module__ == f"tfs.transforms.passes.{name}"
        assert len(graph_pass.__doc__ or "") > len(graph_pass.summary) > 0
        assert re.search(rf"\b{name}\b", tests)


def test_every_transform_of_the_graph_transform_tool_is_there() -> None:
    """The names that `transform_graph` registered, and the spellings of its README."""
    names = """
        add_default_attributes backport_concatv2 backport_tensor_array_v3 flatten_atrous_conv fold_batch_norms
        fold_constants fold_old_batch_norms freeze_requantization_ranges fuse_convolutions fuse_pad_and_conv
        fuse_resize_and_conv fuse_resize_pad_and_conv inline_partitionedcall insert_logging merge_duplicate_nodes
        obfuscate_names obfsucate_names quantize_nodes quantize_weights remove_attribute remove_control_dependencies
        remove_device remove_nodes rename_attribute rename_node rename_op round_weights set_device
        sort_by_execution_order sparsify_gather strip_unused_nodes
    """
    for name in names.split():
        needed = "".join(f"{a.key}=1, " for a in PASSES[name].arguments if a.required) if name in PASSES else ""
        assert steps_of(f"{name}({needed})" if needed else name)


def test_the_list_of_the_tool_s_users_runs_as_it_was_written() -> None:
    """As in the tutorials: a Python list, its strings joined by blanks."""
    transforms = [
        "remove_attribute(attribute_name=_class)",
        "remove_nodes(op=Identity, op=CheckNumerics)",
        "strip_unused_nodes",
        "fold_constants(ignore_errors=true)",
        "fold_batch_norms",
        "fold_old_batch_norms",
        "merge_duplicate_nodes",
    ]
    assert [step.graph_pass.name for step in steps_of(" ".join(transforms))] == [
        text.partition("(")[0] for text in transforms
    ]


def test_presets_are_lists_that_may_stand_among_transforms() -> None:
    for preset in PRESETS:
        steps_of(preset)
    assert steps_of("none") == ()
    names = [step.graph_pass.name for step in steps_of("none serving quantize_weights")]
    assert names == [step.graph_pass.name for step in steps_of("size")]
    with pytest.raises(UsageError, match="`size` is a preset and takes no arguments"):
        steps_of("size(minimum_size=1)")


def test_one_s_own_pass_is_named_by_module_and_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_passes.py").write_text(_OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    first, second = steps_of("own_passes:drop_debug own_passes:DropOps(op=Print, ignore_errors=true)")
    assert (first.graph_pass.name, first.graph_pass.summary) == ("own_passes:drop_debug", "Drop what is called debug.")
    assert second.ignore_errors
    with pytest.raises(UsageError, match="module `own_passes` has no `other`"):
        steps_of("own_passes:other")
    with pytest.raises(UsageError, match="module `no_such_module` cannot be imported"):
        steps_of("no_such_module:other")
    with pytest.raises(UsageError, match="neither a function nor a subclass"):
        steps_of("own_passes:NUMBER")
    with pytest.raises(UsageError, match="has no argument `ops`"):
        steps_of("own_passes:DropOps(ops=Print)")


_OWN = """
from tfs.transforms import Argument, GraphPass, PassResult

NUMBER = 1

def drop_debug(view):
    \"\"\"Drop what is called debug.\"\"\"
    return view.only(name for name in view.nodes if not name.startswith("debug"))

class DropOps(GraphPass):
    name = "drop_ops"
    summary = "drop all nodes of an op"
    arguments = (Argument("op", required=True),)

    def __init__(self, op):
        self.op = op

    def __call__(self, view):
        return PassResult(view.only(node.name for node in view if node.op != self.op))
"""


def test_ignore_errors_works_on_every_transform() -> None:
    needed = {name: "".join(f"{a.key}=1, " for a in PASSES[name].arguments if a.required) for name in PASSES}
    text = " ".join(f"{name}({needed[name]} ignore_errors=TRUE)" for name in PASSES)
    assert all(step.ignore_errors for step in steps_of(text))


def test_the_first_ignore_errors_counts() -> None:
    assert not steps_of("fold_constants(ignore_errors=false, ignore_errors=true)")[0].ignore_errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fold_everything", "unknown transform `fold_everything`"),
        ("fold_batch_norm", "unknown transform `fold_batch_norm` (did you mean `fold_batch_norms`?)"),
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
