"""The requests that original and result are compared on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import Signature
from tfs.savedmodel.synthetic import generate
from tfs.savedmodel.warmup import PredictRecord, read_predict_records, warmup_file
from tfs.savedmodel.warmup_sources import records_from_file

__all__ = ["NO_SAMPLES", "Samples", "generated_inputs", "verification_requests"]

_BATCH_SIZES = (1, 3)
_SEED = 20
_MAX_RECORDS = 64  # of a file: enough to see a difference, soon done
_DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Samples:
    """What is known about inputs.

    Attributes:
        ranges: how many rows ids choose from, by the name of the fed node (see `id_ranges`).
        data: the user's samples, `.jsonl` or `.npz` as `tfs warmup --data` takes them.
    """

    ranges: Mapping[str, int] = field(default_factory=dict)
    data: Path | None = None


NO_SAMPLES = Samples()


def verification_requests(
    original: Path, signatures: Mapping[str, Signature], samples: Samples, notes: list[str]
) -> tuple[list[PredictRecord], str]:
    """Return the requests and where they come from: the user's file, else warm-up records, else generated inputs.

    A signature that file or records leave out gets generated inputs, which goes into `notes`.

    Raises:
        TfsError: the file cannot be read or does not fit the signatures.
    """
    ranges, data = samples.ranges, samples.data
    records, source = _given(original, signatures, data)
    if not records:
        return _generated(signatures, ranges, notes), "generated inputs"
    missing = sorted(signatures.keys() - {record.signature_name for record in records})
    what = "warm-up record" if data is None else f"sample in `{data}`"
    notes.extend(f"signature `{name}` has no {what}; generated inputs were used" for name in missing)
    return [*records, *_generated({name: signatures[name] for name in missing}, ranges, notes)], source


def _given(original: Path, signatures: Mapping[str, Signature], data: Path | None) -> tuple[list[PredictRecord], str]:
    if data is not None:
        name = _DEFAULT_SIGNATURE if _DEFAULT_SIGNATURE in signatures else min(signatures)
        limit = _MAX_RECORDS if data.suffix == ".jsonl" else None
        return records_from_file(data, dict(signatures), original, signature_name=name, records=limit), f"`{data}`"
    if not warmup_file(original).is_file():
        return [], ""
    records = [record for record in read_predict_records(original) if record.signature_name in signatures]
    return records[:_MAX_RECORDS], "warm-up records"


def _generated(signatures: Mapping[str, Signature], ranges: Mapping[str, int], notes: list[str]) -> list[PredictRecord]:
    requests = []
    for name, signature in signatures.items():
        try:
            for number, batch_size in enumerate(_BATCH_SIZES):
                inputs = generated_inputs(signature, ranges, batch_size, _SEED + number)
                requests.append(PredictRecord(name, inputs))
        except TfsError as error:
            notes.append(f"signature `{name}` is not verified: {error.message}")
    return requests


def generated_inputs(
    signature: Signature, ranges: Mapping[str, int], batch_size: int, seed: int
) -> dict[str, np.ndarray]:
    """Return generated inputs; integers that the graph looks constants up by are ids of all rows there are.

    Args:
        signature: what the inputs are for.
        ranges: the number of rows by the name of the fed node (see `id_ranges`).
        batch_size: the first dimension, where the signature leaves it open.
        seed: equal seeds give equal inputs.

    Raises:
        TfsError: an input cannot be generated.
    """
    inputs = generate(signature, batch_size, seed)
    random = np.random.default_rng(seed)
    for alias, info in signature.inputs.items():
        rows = ranges.get(info.name.partition(":")[0])
        if rows is not None and inputs[alias].dtype.kind in "iu":
            largest = min(rows - 1, np.iinfo(inputs[alias].dtype).max)
            inputs[alias] = random.integers(0, largest, inputs[alias].shape, endpoint=True).astype(inputs[alias].dtype)
    return inputs
