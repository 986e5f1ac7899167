"""Running original and result on the same requests: equal outputs, and which one is faster."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import Signature
from tfs.savedmodel.synthetic import generate
from tfs.savedmodel.warmup import PredictRecord
from tfs.transforms.comparing import Comparison, MismatchError, OutputError, Tolerance
from tfs.transforms.running import ModelRunner, open_model
from tfs.transforms.tensorflow_runtime import release_memory
from tfs.transforms.verification_inputs import NO_SAMPLES, Samples, verification_requests

__all__ = ["Latency", "MismatchError", "Tolerance", "Verification", "serve_once", "verify"]

# Models that take more are opened one after the other: a session holds the constants several times.
_TOGETHER_BYTES = 64_000_000
_TIMED_SECONDS = 0.4
_TIMED_RUNS = 200
_LATENCY_BATCHES = (1, 32)
_TIMED_APART = (
    "timed with large constants held as variables, which takes less memory; what TensorFlow makes of constants alone "
    "is not seen"
)
# Below this difference two timings on a busy machine say the same; seconds are those of a request.
_SLOWER = 0.95
_SLOWER_SECONDS = 20e-6


@dataclass(frozen=True)
class Latency:
    """The seconds that a signature takes for a batch, in original and result; the best of several."""

    signature: str
    batch_size: int
    original: float
    result: float


@dataclass(frozen=True)
class Verification:
    """What was compared.

    Attributes:
        source: where the inputs came from: a file, `warm-up records` or `generated inputs`.
        requests: how many were run on both models.
        outputs: how far each float output was apart.
        notes: what could not be compared, or says little.
        original_seconds, result_seconds: the time of the same requests; run in turn if the models are not large.
        load_seconds: the time to load original and result.
        latencies: of one signature, at batch sizes 1 and 32 where it takes them.
    """

    source: str
    requests: int
    outputs: tuple[OutputError, ...]
    notes: tuple[str, ...]
    original_seconds: float
    result_seconds: float
    load_seconds: tuple[float, float]
    latencies: tuple[Latency, ...]

    @property
    def largest_difference(self) -> float:
        """The largest difference of all float outputs, relative to the output's largest value."""
        return max((output.relative for output in self.outputs), default=0.0)

    @property
    def speed_ratio(self) -> float:
        """How many times faster the result is; below 1 it is slower."""
        return self.original_seconds / self.result_seconds if self.result_seconds else 1.0

    @property
    def slower(self) -> bool:
        """Whether the result is slower beyond what timings vary."""
        more = self.result_seconds - self.original_seconds
        return self.speed_ratio < _SLOWER and more > _SLOWER_SECONDS * self.requests

    def to_dict(self) -> dict[str, Any]:
        """Return the verification with stable keys, for JSON."""
        return {
            "source": self.source,
            "requests": self.requests,
            "largest_difference": self.largest_difference,
            "outputs": [output.to_dict() for output in self.outputs],
            "notes": list(self.notes),
            "seconds": {"original": round(self.original_seconds, 6), "result": round(self.result_seconds, 6)},
            "speed_ratio": round(self.speed_ratio, 3),
            "slower": self.slower,
            "load_seconds": {"original": round(self.load_seconds[0], 4), "result": round(self.load_seconds[1], 4)},
            "latency": [
                {
                    "signature": entry.signature,
                    "batch_size": entry.batch_size,
                    "original": round(entry.original, 6),
                    "result": round(entry.result, 6),
                }
                for entry in self.latencies
            ],
        }


def verify(
    original: Path,
    result: Path,
    signatures: Mapping[str, Signature],
    tolerance: Tolerance,
    samples: Samples = NO_SAMPLES,
) -> Verification:
    """Compare two SavedModels on the user's samples, the original's warm-up records, or generated inputs.

    Args:
        original: the directory of the model that is right.
        result: the directory of the model to be checked.
        signatures: those to compare.
        tolerance: how far floats may be apart.
        samples: the user's samples, and what is known for generated inputs.

    Raises:
        MismatchError: an output differs; the message names signature and output.
        TfsError: a model cannot be loaded, or the samples cannot be read.
    """
    notes: list[str] = []
    requests, source = verification_requests(original, signatures, samples, notes)
    compared = Comparison(original, tolerance, notes)
    timed = _TimedRequests(signatures, samples)
    with ExitStack() as opened:
        first, first_load = opened.enter_context(_timed_load(original))
        first_holds_constants = first.holds_constants
        usable = compared.ask(first, requests)
        timed.choose(first, usable)
        if _stored_bytes(original) + _stored_bytes(result) > _TOGETHER_BYTES:
            timed.run(first)
            opened.close()
            del first
            release_memory()
            second, second_load = opened.enter_context(_timed_load(result))
            compared.check(second)
            timed.run(second)
        else:
            second, second_load = opened.enter_context(_timed_load(result))
            compared.check(second)
            timed.run(first, second)
    if not (first_holds_constants and second.holds_constants):
        notes.append(_TIMED_APART)
    for name in sorted({request.signature_name for request in requests} - {r.signature_name for r in usable}):
        notes.append(f"signature `{name}` is not verified: the original takes none of the inputs")
    return Verification(
        source, len(usable), compared.errors, tuple(notes), *timed.all, (first_load, second_load), timed.latencies
    )


def serve_once(original: Path, result: Path, signatures: Mapping[str, Signature], samples: Samples) -> None:
    """Ask each signature of the result once, without looking at the answer.

    Raises:
        MismatchError: one fails, and the original does not.
    """
    requests, _ = verification_requests(original, signatures, samples, [])
    first_of_each = {request.signature_name: request for request in reversed(requests)}
    with open_model(result) as model:
        answers = {name: model.answer(name, request.inputs) for name, request in first_of_each.items()}
    failed = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
    if failed:
        with open_model(original) as model:
            for name, reason in failed.items():
                if not isinstance(model.answer(name, first_of_each[name].inputs), str):
                    raise MismatchError(f"signature `{name}` fails in the result: {reason}; nothing was written")


@contextmanager
def _timed_load(path: Path) -> Iterator[tuple[ModelRunner, float]]:
    started = time.perf_counter()
    with open_model(path) as model:
        yield model, time.perf_counter() - started


def _stored_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


class _TimedRequests:
    """The requests that are timed: all together, and for one signature a batch of each size."""

    def __init__(self, signatures: Mapping[str, Signature], samples: Samples) -> None:
        self._signatures = signatures
        self._samples = samples
        self._requests: Sequence[PredictRecord] = ()
        self._batches: dict[int, PredictRecord] = {}
        self._seconds: list[list[float]] = []

    def choose(self, original: ModelRunner, usable: Sequence[PredictRecord]) -> None:
        """Take the requests, and batches for the first signature that answers, `serving_default` before others."""
        self._requests = usable
        names = sorted({r.signature_name for r in usable}, key=lambda name: (name != "serving_default", name))
        for wanted in _LATENCY_BATCHES if names else ():
            try:
                inputs = generate(self._signatures[names[0]], wanted, wanted, self._samples.hints)
            except TfsError:
                return
            size = max((len(value) for value in inputs.values() if np.ndim(value)), default=1)
            if size not in self._batches and not isinstance(original.answer(names[0], inputs), str):
                self._batches[size] = PredictRecord(names[0], inputs)

    def run(self, *models: ModelRunner) -> None:
        """Time the models, in turn if there are several."""
        rows = [_time(models, self._requests, _TIMED_SECONDS)]
        rows += [_time(models, [request], _TIMED_SECONDS / 2) for request in self._batches.values()]
        self._seconds.extend(list(column) for column in zip(*rows, strict=True))

    @property
    def all(self) -> tuple[float, float]:
        """The seconds of original and result for all requests."""
        original, result = self._seconds
        return original[0], result[0]

    @property
    def latencies(self) -> tuple[Latency, ...]:
        """The seconds of original and result for each batch."""
        pairs = zip(*(seconds[1:] for seconds in self._seconds), strict=True)
        return tuple(
            Latency(request.signature_name, size, *pair)
            for (size, request), pair in zip(self._batches.items(), pairs, strict=True)
        )


def _time(models: Sequence[ModelRunner], requests: Sequence[PredictRecord], seconds: float) -> list[float]:
    """Return the seconds that each model takes for all requests: the best of several rounds, run in turn."""
    if not requests:
        return [0.0] * len(models)
    best = [float("inf")] * len(models)
    deadline = time.perf_counter() + seconds * len(models) / 2
    for round_number in range(_TIMED_RUNS):
        for index, model in enumerate(models):
            started = time.perf_counter()
            for request in requests:
                model.answer(request.signature_name, request.inputs)
            best[index] = min(best[index], time.perf_counter() - started)
        if round_number > 0 and time.perf_counter() > deadline:
            break
    return best
