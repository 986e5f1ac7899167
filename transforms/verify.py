"""Running original and result on the same requests: equal outputs, and which one is faster."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import Signature, meta_graph, read_saved_model
from tfs.savedmodel.synthetic import generate
from tfs.savedmodel.warmup import PredictRecord, read_predict_records, warmup_file
from tfs.transforms.running import ModelRunner, open_model

__all__ = ["DEFAULT_TOLERANCE", "MismatchError", "Tolerance", "Verification", "verify"]

_BATCH_SIZES = (1, 3)
_SEED = 20
_OFF_BY = "is off by "
_LOW_PRECISION = frozenset({14, 19})  # DT_BFLOAT16, DT_HALF
_MAX_RECORDS = 64  # of a warm-up file: enough to see a difference, soon done
_TIMED_SECONDS = 0.4
_TIMED_RUNS = 200
# Below this difference two timings on a busy machine say the same.
_SLOWER = 0.95


class MismatchError(TfsError):
    """The result does not compute what the original computes."""


@dataclass(frozen=True)
class Tolerance:
    """How far floats may be apart: `rtol` of the largest value of the output, plus `atol`."""

    rtol: float = 1e-3
    atol: float = 1e-6


DEFAULT_TOLERANCE = Tolerance()


@dataclass(frozen=True)
class Verification:
    """What was compared.

    Attributes:
        source: where the inputs came from, `warm-up records` or `generated inputs`.
        requests: how many were run on both models.
        largest_difference: of all float outputs, relative to the output's largest value.
        notes: what could not be compared, or says little.
        original_seconds, result_seconds: the time of the same requests, run in turn.
    """

    source: str
    requests: int
    largest_difference: float
    notes: tuple[str, ...]
    original_seconds: float
    result_seconds: float

    @property
    def speed_ratio(self) -> float:
        """How many times faster the result is; below 1 it is slower."""
        return self.original_seconds / self.result_seconds if self.result_seconds else 1.0

    @property
    def slower(self) -> bool:
        """Whether the result is slower beyond what timings vary."""
        return self.speed_ratio < _SLOWER

    def to_dict(self) -> dict[str, Any]:
        """Return the verification with stable keys, for JSON."""
        return {
            "source": self.source,
            "requests": self.requests,
            "largest_difference": self.largest_difference,
            "notes": list(self.notes),
            "seconds": {"original": round(self.original_seconds, 6), "result": round(self.result_seconds, 6)},
            "speed_ratio": round(self.speed_ratio, 3),
            "slower": self.slower,
        }


def verify(original: Path, result: Path, signatures: Mapping[str, Signature], tolerance: Tolerance) -> Verification:
    """Compare two SavedModels on the original's warm-up records, or on generated inputs if it has none.

    Raises:
        MismatchError: an output differs; the message names signature and output.
        TfsError: a model cannot be loaded, or the warm-up file is damaged.
    """
    notes: list[str] = []
    requests, source = _requests(original, signatures, notes)
    with open_model(original) as first, open_model(result) as second:
        compared = _Comparison(original, tolerance, notes)
        usable = compared.run(first, second, requests)
        original_seconds, result_seconds = _time(first, second, usable)
    for name in sorted({request.signature_name for request in requests} - {r.signature_name for r in usable}):
        notes.append(f"signature `{name}` is not verified: the original takes none of the inputs")
    return Verification(
        source, len(usable), compared.largest_difference, tuple(notes), original_seconds, result_seconds
    )


def _requests(path: Path, signatures: Mapping[str, Signature], notes: list[str]) -> tuple[list[PredictRecord], str]:
    if warmup_file(path).is_file():
        records = [r for r in read_predict_records(path) if r.signature_name in signatures][:_MAX_RECORDS]
        if records:
            missing = sorted(signatures.keys() - {record.signature_name for record in records})
            notes.extend(f"signature `{name}` has no warm-up record; generated inputs were used" for name in missing)
            return [*records, *_generated({name: signatures[name] for name in missing}, notes)], "warm-up records"
    return _generated(signatures, notes), "generated inputs"


def _generated(signatures: Mapping[str, Signature], notes: list[str]) -> list[PredictRecord]:
    requests = []
    for name, signature in signatures.items():
        try:
            for number, batch_size in enumerate(_BATCH_SIZES):
                requests.append(PredictRecord(name, generate(signature, batch_size, _SEED + number)))
        except TfsError as error:
            notes.append(f"signature `{name}` is not verified: {error.message}")
    return requests


class _Comparison:
    """Runs requests on both models in the same order, so that state, if there is any, goes the same way."""

    def __init__(self, original: Path, tolerance: Tolerance, notes: list[str]) -> None:
        self._original = original
        self._tolerance = tolerance
        self._notes = notes
        self.largest_difference = 0.0

    def run(self, first: ModelRunner, second: ModelRunner, requests: Sequence[PredictRecord]) -> list[PredictRecord]:
        """Compare all requests and return those that the original takes."""
        usable: list[PredictRecord] = []
        answers: list[dict[str, np.ndarray]] = []
        mismatches: list[tuple[int, str, str]] = []
        for request in requests:
            expected = first.answer(request.signature_name, request.inputs)
            if isinstance(expected, str):
                self._notes.append(f"signature `{request.signature_name}`: the original refuses an input: {expected}")
                continue
            actual = second.answer(request.signature_name, request.inputs)
            if isinstance(actual, str):
                raise MismatchError(f"signature `{request.signature_name}` fails in the result: {actual}", _HINT)
            mismatches.extend((len(usable), name, text) for name, text in self._differences(expected, actual))
            usable.append(request)
            answers.append(expected)
        self._settle(usable, answers, mismatches)
        self._note_constants(usable, answers)
        return usable

    def _differences(
        self, expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]
    ) -> list[tuple[str, str]]:
        found = []
        for name, value in expected.items():
            text = self._difference(value, actual[name])
            if text:
                found.append((name, text))
        return found

    def _difference(self, expected: np.ndarray, actual: np.ndarray) -> str:
        """Return how two values of an output differ, nothing if they agree."""
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
        if difference > self._tolerance.rtol * largest + self._tolerance.atol:
            share = f"{difference / largest:.3g} of its largest value" if largest else f"{difference:.3g}"
            return f"{_OFF_BY}{share}"
        self.largest_difference = max(self.largest_difference, difference / largest if largest else 0.0)
        return ""

    def _settle(
        self,
        usable: Sequence[PredictRecord],
        answers: Sequence[Mapping[str, np.ndarray]],
        mismatches: Sequence[tuple[int, str, str]],
    ) -> None:
        """Raise for the first mismatch that is not the original's own doing: random numbers differ run by run."""
        if not mismatches:
            return
        with open_model(self._original) as again:
            repeated = [again.answer(request.signature_name, request.inputs) for request in usable]
        for index, name, text in mismatches:
            other = repeated[index]
            signature = usable[index].signature_name
            if not isinstance(other, str) and self._difference(answers[index][name], other[name]):
                note = f"output `{name}` of signature `{signature}` is not compared: the original varies run by run"
                if note not in self._notes:
                    self._notes.append(note)
                continue
            coarse = text.startswith(_OFF_BY) and _computes_in_low_precision(self._original)
            hint = _LOW_PRECISION_HINT if coarse else _HINT
            raise MismatchError(f"output `{name}` of signature `{signature}` {text}; nothing was written", hint)

    def _note_constants(self, usable: Sequence[PredictRecord], answers: Sequence[Mapping[str, np.ndarray]]) -> None:
        values: dict[tuple[str, str], set[Any]] = {}
        for request, answer in zip(usable, answers, strict=True):
            for name, value in answer.items():
                values.setdefault((request.signature_name, name), set()).update(value.ravel()[:1000].tolist())
        for (signature, name), seen in values.items():
            if len(seen) == 1:
                self._notes.append(f"output `{name}` of signature `{signature}` has one value throughout: a weak check")


def _computes_in_low_precision(path: Path) -> bool:
    graph = meta_graph(read_saved_model(path), path).graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return any("T" in node.attr and node.attr["T"].type in _LOW_PRECISION for node in nodes)


_LOW_PRECISION_HINT = "the model computes in half precision or bfloat16, which rounds that coarsely: try --rtol 0.02"
_HINT = "a smaller --transforms list shows which one it is; --rtol and --atol say what is equal"


def _time(first: ModelRunner, second: ModelRunner, requests: Sequence[PredictRecord]) -> tuple[float, float]:
    """Return the seconds that each model takes for all requests: the best of several rounds, run in turn."""
    if not requests:
        return 0.0, 0.0
    best = [float("inf"), float("inf")]
    deadline = time.perf_counter() + _TIMED_SECONDS
    for round_number in range(_TIMED_RUNS):
        for index, model in enumerate((first, second)):
            started = time.perf_counter()
            for request in requests:
                model.answer(request.signature_name, request.inputs)
            best[index] = min(best[index], time.perf_counter() - started)
        if round_number > 0 and time.perf_counter() > deadline:
            break
    return best[0], best[1]
