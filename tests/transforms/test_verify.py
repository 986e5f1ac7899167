from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfs.transforms.verify as verifying
from tfs.savedmodel.reading import read_signatures
from tfs.transforms import running
from tfs.transforms.comparing import MismatchError, Tolerance
from tfs.transforms.verify import Verification, verify

Function = Callable[[Any], Any]


def _save(path: Path, function: Function) -> Path:
    import tensorflow as tf

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            return {"y": function(x)}

    tf.saved_model.save(Model(), str(path))
    return path


def _verify(folder: Path, first: Function, second: Function, tolerance: Tolerance | None = None) -> Verification:
    original, result = _save(folder / "1", first), _save(folder / "2", second)
    return verify(original, result, read_signatures(original), tolerance or Tolerance())


def _tf() -> Any:
    import tensorflow as tf

    return tf


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda x: x * 100, lambda x: x * 100.05),
        (lambda x: _tf().math.log(x - 1), lambda x: _tf().math.log(x - 1)),
        (lambda x: x * 0, lambda x: x * 0 + 1e-7),
        (lambda x: _tf().complex(x, x), lambda x: _tf().complex(x, x * 1.0001)),
        (lambda x: _tf().strings.as_string(x > 0.5), lambda x: _tf().strings.as_string(x > 0.5)),
    ],
    ids=["within rtol", "both not a number", "within atol", "complex", "equal strings"],
)
def test_what_agrees_within_the_tolerance_is_the_same(tmp_path: Path, first: Function, second: Function) -> None:
    verification = _verify(tmp_path, first, second)
    assert verification.requests == 2
    assert verification.largest_difference < 1e-3
    assert verification.original_seconds > 0


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (lambda x: x * 100, lambda x: x * 100.2, "is off by 0.002 of its largest value"),
        (lambda x: x * 0, lambda x: x * 0 + 1e-3, "is off by 0.001"),
        (lambda x: x, lambda x: x / (x - x), "is not finite at the same places"),
        (lambda x: _tf().cast(x * 9, _tf().int32), lambda x: _tf().cast(x * 9, _tf().int32) + 1, "differs in 3 of 3"),
        (lambda x: _tf().strings.as_string(x * 2), lambda x: _tf().strings.as_string(x * 2) + "!", "differs in 3 of 3"),
        (lambda x: x > 0.5, lambda x: x <= 0.5, "differs in 3 of 3 values"),
        (lambda x: x, lambda x: _tf().cast(x, _tf().float64), r"is float64\[1, 3\] instead of float32\[1, 3\]"),
        (lambda x: x, lambda x: x[:, :2], r"is float32\[1, 2\] instead of float32\[1, 3\]"),
        (lambda x: x, lambda x: _tf().ensure_shape(x, [7, 3]), "fails in the result"),
    ],
    ids=["floats", "zeros", "not a number", "ints", "strings", "bools", "dtype", "shape", "error"],
)
def test_what_differs_is_named(tmp_path: Path, first: Function, second: Function, words: str) -> None:
    with pytest.raises(MismatchError, match=words) as caught:
        _verify(tmp_path, first, second)
    assert "`serving_default`" in str(caught.value)


def test_large_models_are_compared_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    open_model = running.open_model

    @contextmanager
    def watched(path: Path) -> Iterator[running.ModelRunner]:
        with open_model(path) as model:
            opened.append(f"open {path.name}")
            yield model
        opened.append(f"close {path.name}")

    monkeypatch.setattr(verifying, "open_model", watched)
    monkeypatch.setattr(verifying, "_TOGETHER_BYTES", 0)
    found = _verify(tmp_path, lambda x: x * 100, lambda x: x * 100.05)
    assert opened == ["open 1", "close 1", "open 2", "close 2"]
    assert 1e-4 < found.largest_difference < 1e-3
    assert [latency.batch_size for latency in found.latencies] == [1, 32]
    assert min(found.original_seconds, found.result_seconds, *found.load_seconds) > 0
    with pytest.raises(MismatchError, match=r"is off by 0.5"):
        _verify(tmp_path / "other", lambda x: x, lambda x: x / 2)


def test_an_output_of_one_value_is_called_a_weak_check(tmp_path: Path) -> None:
    notes = _verify(tmp_path, lambda x: x * 0 + 3, lambda x: x * 0 + 3).notes
    assert notes == ("output `y` of signature `serving_default` has one value throughout: a weak check",)


def test_a_slower_result_is_called_so(tmp_path: Path) -> None:
    def slow(x: Any) -> Any:
        big = _tf().random.stateless_uniform([400, 400], [1, 2]) * x[0, 0]
        return x + 0 * _tf().reduce_sum(big @ big)

    verification = _verify(tmp_path, lambda x: x + 0, slow)
    assert verification.slower
    assert verification.speed_ratio < 0.9
    assert verification.to_dict()["slower"] is True
    assert np.isfinite(verification.speed_ratio)
