"""Where warm-up records come from: JSON lines, an .npz file, examples, or generated inputs."""

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.input_hints import InputHints, read_hints
from tfs.savedmodel.predict_inputs import check_shapes, inputs_from_arrays, inputs_from_body, signature_name_of_body
from tfs.savedmodel.reading import Signature, read_signatures, signature_named
from tfs.savedmodel.synthetic import generate, generate_examples
from tfs.savedmodel.warmup import (
    DEFAULT_SIGNATURE,
    MAX_RECORDS,
    PredictRecord,
    log_of_record,
    read_records,
    without_repetitions,
    write_records,
)
from tfs.savedmodel.warmup_examples import log_of_examples, multi_inference_log, read_examples, takes_examples

__all__ = ["DEFAULT_RECORDS", "Selection", "add_warmup", "load_arrays", "records_from_file"]

DEFAULT_RECORDS = 10  # for sources that could give any number


@dataclass(frozen=True)
class Selection:
    """Which records are made of a source.

    Attributes:
        signature_name: the signature, where the data does not name one; None for `serving_default`, and for every
            signature where inputs are generated.
        records: how many, at most; of generated ones and arrays for each signature.
        batch_sizes: adds a record of each of these numbers of rows for each signature.
    """

    signature_name: str | None = None
    records: int | None = None
    batch_sizes: tuple[int, ...] = ()


def add_warmup(
    directory: Path,
    data: Path | None,
    selection: Selection,
    *,
    append: bool = False,
    check: Callable[[Path], None] | None = None,
) -> int:
    """Write the warm-up records of the version in `directory` and return how many it has then.

    Args:
        directory: a version directory.
        data: as `records_from_file` takes it, or a `.tfrecord` of `tf.train.Example`; None generates the inputs.
        selection: which records are made of it.
        append: keep the records that are there already, in place of replacing them.
        check: as `write_records` takes it.

    Raises:
        UsageError: the file is of another kind.
        TfsError: the model or the data cannot be read, or the records cannot be written.
    """
    signatures = read_signatures(directory)
    only, records, batch_sizes = selection.signature_name, selection.records, selection.batch_sizes
    name = only or DEFAULT_SIGNATURE
    if data is None:
        chosen = [signature_named(signatures, only, directory)] if only else signatures.values()
        logs = _synthetic_logs(list(chosen), read_hints(directory), records, batch_sizes)
    elif data.suffix in (".tfrecord", ".tfrecords"):
        logs = _example_logs(data, signature_named(signatures, name, directory), records, batch_sizes)
    else:
        found = records_from_file(data, signatures, directory, signature_name=name, records=records)
        logs = [log_of_record(record) for record in [*found, *_batches(found, signatures, batch_sizes)]]
    kept = read_records(directory) if append else []
    unique = without_repetitions([*kept, *logs])
    write_records(directory, unique, check)
    return len(unique)


def _synthetic_logs(
    signatures: Sequence[Signature], hints: InputHints, records: int | None, batch_sizes: Sequence[int]
) -> list[Any]:
    """Generate records of one row, or of each batch size; examples for signatures that take such."""
    sizes = list(batch_sizes) or [1] * (DEFAULT_RECORDS if records is None else records)
    logs = []
    with_examples = [signature for signature in signatures if takes_examples(signature)]
    for signature in signatures:
        for seed, size in enumerate(sizes[:records]):
            if signature in with_examples and hints.features:
                logs.append(log_of_examples(signature, generate_examples(hints, size, seed)))
            else:
                logs.append(log_of_record(PredictRecord(signature.name, generate(signature, size, seed, hints))))
    if len(with_examples) > 1 and hints.features:
        logs.append(multi_inference_log(with_examples, generate_examples(hints, 1, 0)))
    return logs


def _example_logs(file: Path, signature: Signature, records: int | None, batch_sizes: Sequence[int]) -> list[Any]:
    """Make a record of each example, and one of each batch size out of the first ones."""
    with _named(f"`{file}`"):
        examples = read_examples(file, MAX_RECORDS if records is None else records)
        groups = [[example] for example in examples]
        groups += [[examples[row % len(examples)] for row in range(size)] for size in batch_sizes]
        return [log_of_examples(signature, group) for group in groups]


def _batches(
    records: Sequence[PredictRecord], signatures: dict[str, Signature], batch_sizes: Sequence[int]
) -> Iterator[PredictRecord]:
    """Yield, for each signature that occurs, its first record with its rows repeated to each batch size."""
    first = {record.signature_name: record for record in reversed(records)}
    for name, record in first.items():
        for size in batch_sizes:
            inputs = {
                alias: array[np.arange(size) % len(array)] if _has_rows(array, signatures[name], alias) else array
                for alias, array in record.inputs.items()
            }
            yield PredictRecord(name, inputs)


def records_from_file(
    file: Path, signatures: dict[str, Signature], directory: Path, *, signature_name: str, records: int | None
) -> list[PredictRecord]:
    """Return the predict records that a file gives for a model.

    Args:
        file: `.jsonl`: a REST predict body on each line, one record for each; empty lines are passed over. `.npz`: an
            array for each input, cut along the rows (the first dimension, where the signature leaves it open) into
            records of nearly equal size; inputs without rows go into each record whole.
        signatures: of the model.
        directory: of the model, for messages.
        signature_name: for an `.npz` file, and for lines that name none.
        records: JSON lines: use the first so many; `.npz`: cut into so many (10 if None, never more than rows).

    Raises:
        UsageError: the file is of another kind.
        TfsError: the file cannot be read or a value does not fit the signature; the message names file and line.
    """
    if file.suffix == ".jsonl":
        return _from_lines(file, signatures, directory, signature_name, records)
    if file.suffix == ".npz":
        signature = signature_named(signatures, signature_name, directory)
        with _named(f"`{file}`"):
            inputs = inputs_from_arrays(load_arrays(file), signature)
            check_shapes(inputs, signature)
        return _cut(inputs, signature, DEFAULT_RECORDS if records is None else records)
    raise UsageError(f"`{file}` is none of .jsonl, .npz and .tfrecord")


def load_arrays(file: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an `.npz` file by name. Pickled objects are refused: reading them would run code.

    Raises:
        TfsError: the file does not exist, is no .npz file, or holds pickled objects.
    """
    try:
        with file.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise TfsError(f"`{file}` holds one array without a name", "write it with numpy.savez")
            return dict(archive)
    except FileNotFoundError as error:
        raise TfsError(f"`{file}` does not exist") from error
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise TfsError(f"`{file}` cannot be read as .npz: {error}", "strings must be arrays of dtype U or S") from error


def _from_lines(
    file: Path, signatures: dict[str, Signature], directory: Path, default_name: str, limit: int | None
) -> list[PredictRecord]:
    found: list[PredictRecord] = []
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if len(found) == (MAX_RECORDS + 1 if limit is None else limit):
                    break
                if line.strip():
                    with _named(f"`{file}` line {number}"):
                        found.append(_from_line(line, signatures, directory, default_name))
    except OSError as error:
        raise TfsError(f"`{file}` cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TfsError(f"`{file}` is no UTF-8 text: {error}") from error
    return found


def _from_line(line: str, signatures: dict[str, Signature], directory: Path, default_name: str) -> PredictRecord:
    try:
        body = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise TfsError(f"no JSON: {error}", "each line is a request of its own") from error
    signature = signature_named(signatures, signature_name_of_body(body, default_name), directory)
    inputs = inputs_from_body(body, signature)
    check_shapes(inputs, signature)
    return PredictRecord(signature.name, inputs)


def _cut(inputs: dict[str, np.ndarray], signature: Signature, records: int) -> list[PredictRecord]:
    rows = {alias: len(array) for alias, array in inputs.items() if _has_rows(array, signature, alias)}
    if len(set(rows.values())) > 1:
        raise TfsError(f"the arrays have unequal numbers of rows: {rows}")
    count = next(iter(rows.values()), 1)
    if count == 0:
        raise TfsError("the arrays have no rows")
    pieces = {alias: np.array_split(inputs[alias], min(records, count)) for alias in rows}
    return [
        PredictRecord(signature.name, {**inputs, **{alias: arrays[number] for alias, arrays in pieces.items()}})
        for number in range(min(records, count))
    ]


def _has_rows(array: np.ndarray, signature: Signature, alias: str) -> bool:
    shape = signature.inputs[alias].shape
    return array.ndim > 0 and (shape is None or shape[0] is None)


@contextmanager
def _named(place: str) -> Iterator[None]:
    try:
        yield
    except TfsError as error:
        already = error.message.startswith(place)
        raise TfsError(error.message if already else f"{place}: {error.message}", error.hint) from error
