"""Comparing what two models answer to the same requests."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import meta_graph, read_saved_model
from tfs.savedmodel.warmup import PredictRecord
from tfs.transforms.running import ModelRunner, open_model

__all__ = ["DEFAULT_RTOL", "Comparison", "MismatchError", "OutputError", "Tolerance"]

DEFAULT_RTOL = 1e-3
_OFF_BY = "is off by "
_LOW_PRECISION = frozenset({14, 19})  # DT_BFLOAT16, DT_HALF
_LOW_PRECISION_HINT = "the model computes in half precision or bfloat16, which rounds that coarsely: try --rtol 0.02"
_HINT = "a smaller --transforms list shows which one it is; --rtol and --atol say what is equal"


class MismatchError(TfsError):
    """The result does not compute what the original computes."""


@dataclass(frozen=True)
class Tolerance:
    """How far floats may be apart: `rtol` of the largest value of the output, plus `atol`.

    An `rtol` of None is 1e-3, or what the transforms round by design if that is more.
    """

    rtol: float | None = None
    atol: float = 1e-6

    def after(self, rounding: float) -> "Tolerance":
        """Return the tolerance for a result that may differ by `rounding` of an output's largest value."""
        return Tolerance(max(DEFAULT_RTOL, rounding) if self.rtol is None else self.rtol, self.atol)


@dataclass(frozen=True)
class OutputError:
    """How far one float output of a signature was apart at most: `absolute`, and `relative` to its largest value."""

    signature: str
    output: str
    absolute: float
    relative: float

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers with stable keys, for JSON."""
        return asdict(self)


class Comparison:
    """Runs requests on both models in the same order, so that state, if there is any, goes the same way.

    One after the other: the original may be gone when the result is asked.
    """

    def __init__(self, original: Path, tolerance: Tolerance, notes: list[str]) -> None:
        self._original = original
        self._rtol = DEFAULT_RTOL if tolerance.rtol is None else tolerance.rtol
        self._atol = tolerance.atol
        self._notes = notes
        self._errors: dict[tuple[str, str], tuple[float, float]] = {}
        self._usable: list[PredictRecord] = []
        self._answers: list[dict[str, np.ndarray]] = []

    @property
    def errors(self) -> tuple[OutputError, ...]:
        """The largest differences found so far, by signature and float output."""
        return tuple(OutputError(*key, *values) for key, values in sorted(self._errors.items()))

    def ask(self, original: ModelRunner, requests: Sequence[PredictRecord]) -> list[PredictRecord]:
        """Keep what the original answers, and return the requests that it takes; the others go into the notes."""
        for request in requests:
            answer = original.answer(request.signature_name, request.inputs)
            if isinstance(answer, str):
                self._notes.append(f"signature `{request.signature_name}`: the original refuses an input: {answer}")
                continue
            self._usable.append(request)
            self._answers.append(answer)
        return self._usable

    def check(self, result: ModelRunner) -> None:
        """Compare the result's answers with those of the original.

        Raises:
            MismatchError: an output differs; the message names signature and output.
        """
        mismatches: list[tuple[int, str, str]] = []
        for index, (request, expected) in enumerate(zip(self._usable, self._answers, strict=True)):
            actual = result.answer(request.signature_name, request.inputs)
            if isinstance(actual, str):
                raise MismatchError(f"signature `{request.signature_name}` fails in the result: {actual}", _HINT)
            for name, value in expected.items():
                text = self._difference(value, actual[name], (request.signature_name, name))
                if text:
                    mismatches.append((index, name, text))
        self._settle(mismatches)
        self._note_constants()

    def _difference(self, expected: np.ndarray, actual: np.ndarray, where: tuple[str, str] | None = None) -> str:
        """Return how two values of an output differ, nothing if they agree; `where` it counts for the report."""
        if expected.dtype != actual.dtype or expected.shape != actual.shape:
            return f"is {actual.dtype}{list(actual.shape)} instead of {expected.dtype}{list(expected.shape)}"
        if expected.dtype == object or expected.dtype.kind in "iubSU":
            wrong = int((expected != actual).sum())
            return f"differs in {wrong} of {expected.size} values" if wrong else ""
        kind = np.complex128 if expected.dtype.kind == "c" else np.float64
        wide, narrow = expected.astype(kind), actual.astype(kind)
        finite = np.isfinite(wide)
        same_holes = np.array_equal(finite, np.isfinite(narrow)) and np.array_equal(
            wide[~finite], narrow[~finite], equal_nan=True
        )
        if not same_holes:
            return "is not finite at the same places"
        if not finite.any():
            return ""
        difference, largest = float(np.abs(wide - narrow)[finite].max()), float(np.abs(wide[finite]).max())
        relative = difference / largest if largest else 0.0
        if difference > self._rtol * largest + self._atol:
            return f"{_OFF_BY}{relative:.3g} of its largest value" if largest else f"{_OFF_BY}{difference:.3g}"
        if where is not None:
            before = self._errors.get(where, (0.0, 0.0))
            self._errors[where] = (max(before[0], difference), max(before[1], relative))
        return ""

    def _settle(self, mismatches: Sequence[tuple[int, str, str]]) -> None:
        """Raise for the first mismatch that is not the original's own doing: random numbers differ run by run."""
        if not mismatches:
            return
        with open_model(self._original) as again:
            repeated = [again.answer(request.signature_name, request.inputs) for request in self._usable]
        for index, name, text in mismatches:
            other = repeated[index]
            signature = self._usable[index].signature_name
            if not isinstance(other, str) and self._difference(self._answers[index][name], other[name]):
                note = f"output `{name}` of signature `{signature}` is not compared: the original varies run by run"
                if note not in self._notes:
                    self._notes.append(note)
                continue
            coarse = text.startswith(_OFF_BY) and _computes_in_low_precision(self._original)
            hint = _LOW_PRECISION_HINT if coarse else _HINT
            raise MismatchError(f"output `{name}` of signature `{signature}` {text}; nothing was written", hint)

    def _note_constants(self) -> None:
        values: dict[tuple[str, str], set[Any]] = {}
        for request, answer in zip(self._usable, self._answers, strict=True):
            for name, value in answer.items():
                values.setdefault((request.signature_name, name), set()).update(value.ravel()[:1000].tolist())
        for (signature, name), seen in values.items():
            if len(seen) == 1:
                self._notes.append(f"output `{name}` of signature `{signature}` has one value throughout: a weak check")


def _computes_in_low_precision(path: Path) -> bool:
    graph = meta_graph(read_saved_model(path), path).graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return any("T" in node.attr and node.attr["T"].type in _LOW_PRECISION for node in nodes)
