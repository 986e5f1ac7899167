"""Where warm-up records come from: JSON lines, an .npz file, or generated inputs."""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.predict_inputs import check_shapes, inputs_from_arrays, inputs_from_body, signature_name_of_body
from tfs.savedmodel.reading import Signature, read_signatures, signature_named
from tfs.savedmodel.synthetic import generate
from tfs.savedmodel.warmup import MAX_RECORDS, PredictRecord, log_of_record, write_records

__all__ = ["DEFAULT_RECORDS", "add_warmup", "load_arrays", "records_from_file", "synthetic_records"]

DEFAULT_RECORDS = 10  # for sources that could give any number


def add_warmup(directory: Path, data: Path | None, *, signature_name: str, records: int | None) -> int:
    """Write the warm-up records of the version in `directory` and return how many there are.

    Args:
        directory: a version directory; records that it has are replaced.
        data: as `records_from_file` takes it; None generates the inputs.
        signature_name: the signature, where the data does not name one.
        records: as `records_from_file` and `synthetic_records` take it.

    Raises:
        UsageError: the file is of another kind.
        TfsError: the model or the data cannot be read, or the records cannot be written.
    """
    signatures = read_signatures(directory)
    if data is None:
        found = synthetic_records(signature_named(signatures, signature_name, directory), records)
    else:
        found = records_from_file(data, signatures, directory, signature_name=signature_name, records=records)
    write_records(directory, [log_of_record(record) for record in found])
    return len(found)


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
    raise UsageError(f"`{file}` is neither .jsonl nor .npz")


def synthetic_records(signature: Signature, records: int | None) -> list[PredictRecord]:
    """Return records of one generated row each (10 if `records` is None); each has other values.

    Raises:
        TfsError: an input cannot be generated.
    """
    count = DEFAULT_RECORDS if records is None else records
    return [PredictRecord(signature.name, generate(signature, 1, seed)) for seed in range(count)]


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
