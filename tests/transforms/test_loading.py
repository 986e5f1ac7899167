"""Models that are refused before anything is done with them, in one line that says what is wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import read_saved_model
from tfs.transforms.optimizing import optimize


def _without_output(meta_graph: Any) -> None:
    meta_graph.signature_def["serving_default"].outputs["ids"].name = "gone:0"


def _without_port(meta_graph: Any) -> None:
    meta_graph.signature_def["serving_default"].outputs["ids"].name = "StatefulPartitionedCall:9"


def _without_input(meta_graph: Any) -> None:
    meta_graph.signature_def["serving_default"].inputs["words"].name = "gone:0"


def _with_unknown_op(meta_graph: Any) -> None:
    meta_graph.graph_def.library.function[0].node_def.add(name="n", op="Nonsense")


def _without_signatures(meta_graph: Any) -> None:
    del meta_graph.signature_def["serving_default"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without_output, "output `ids` of signature `serving_default` is `gone:0`, which the graph does not have"),
        (_without_port, "output `ids` of signature `serving_default` is `StatefulPartitionedCall:9`, which the graph"),
        (_without_input, "input `words` of signature `serving_default` is `gone:0`, which the graph does not have"),
        (_with_unknown_op, "the model uses ops that are not registered here: Nonsense"),
        (_without_signatures, "has no signature"),
    ],
)
def test_a_broken_model_is_refused(
    saved_models: Callable[[str], Path], tmp_path: Path, change: Callable[[Any], None], words: str
) -> None:
    broken = Path(shutil.copytree(saved_models("vocabulary"), tmp_path / "1"))
    saved_model = read_saved_model(broken)
    change(saved_model.meta_graphs[0])
    (broken / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    with pytest.raises(TfsError, match=words) as caught:
        optimize(broken, output=tmp_path / "2")
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]
