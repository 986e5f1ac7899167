"""The requests that original and result are compared on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.input_hints import InputHints
from tfs.savedmodel.reading import Signature
from tfs.savedmodel.synthetic import generate
from tfs.savedmodel.warmup import PredictRecord, read_predict_records, warmup_file
from tfs.savedmodel.warmup_sources import records_from_file

__all__ = ["NO_SAMPLES", "Samples", "verification_requests"]

_BATCH_SIZES = (1, 3)
_SEED = 20
_MAX_RECORDS = 64  # of a file: enough to see a difference, soon done
_DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Samples:
    """What is known about inputs.

    Attributes:
        hints: what the original's graph says about them: ranges of ids, words of vocabularies.
        data: the user's samples, `.jsonl` or `.npz` as `tfs warmup --data` takes them.
    """

    hints: InputHints = field(default_factory=InputHints)
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
    hints, data = samples.hints, samples.data
    records, source = _given(original, signatures, data)
    if not records:
        return _generated(signatures, hints, notes), "generated inputs"
    missing = sorted(signatures.keys() - {record.signature_name for record in records})
    what = "warm-up record" if data is None else f"sample in `{data}`"
    notes.extend(f"signature `{name}` has no {what}; generated inputs were used" for name in missing)
    return [*records, *_generated({name: signatures[name] for name in missing}, hints, notes)], source


def _given(original: Path, signatures: Mapping[str, Signature], data: Path | None) -> tuple[list[PredictRecord], str]:
    if data is not None:
        name = _DEFAULT_SIGNATURE if _DEFAULT_SIGNATURE in signatures else min(signatures)
        limit = _MAX_RECORDS if data.suffix == ".jsonl" else None
        return records_from_file(data, dict(signatures), original, signature_name=name, records=limit), f"`{data}`"
    if not warmup_file(original).is_file():
        return [], ""
    records = [record for record in read_predict_records(original) if record.signature_name in signatures]
    return records[:_MAX_RECORDS], "warm-up records"


def _generated(signatures: Mapping[str, Signature], hints: InputHints, notes: list[str]) -> list[PredictRecord]:
    requests = []
    for name, signature in signatures.items():
        try:
            for number, batch_size in enumerate(_BATCH_SIZES):
                inputs = generate(signature, batch_size, _SEED + number, hints)
                requests.append(PredictRecord(name, inputs))
        except TfsError as error:
            notes.append(f"signature `{name}` is not verified: {error.message}")
    return requests
