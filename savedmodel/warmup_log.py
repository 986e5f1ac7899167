"""Warm-up records out of a server's request log: what clients asked is what a new version is warmed up with.

A log can hold what the model at hand cannot answer: requests to an older version with other inputs, or to another model
that shares the files. Nobody can mend a log, so such records are left out and counted, where other sources are refused.
"""

import glob
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from tfs.savedmodel.dtypes import dtype_name
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.predict_inputs import check_shapes
from tfs.savedmodel.protos import prediction_log_pb2
from tfs.savedmodel.reading import Signature, meta_graph, read_saved_model, signature_named, signatures_of
from tfs.savedmodel.tensors import array_from_proto
from tfs.savedmodel.tfrecord import TruncatedError, read_tfrecord
from tfs.savedmodel.warmup import DEFAULT_SIGNATURE, MAX_RECORDS, read_records, write_records

__all__ = ["LogRecords", "add_warmup_from_log", "log_files"]

_METHODS = {"classify_log": "tensorflow/serving/classify", "regress_log": "tensorflow/serving/regress"}
_REPLAYED = ("predict_log", *_METHODS, "multi_inference_log")


@dataclass(frozen=True)
class LogRecords:
    """What a log gave.

    Attributes:
        count: the records written.
        notes: a line for each kind of record that was left out, and for each file that is cut off.
    """

    count: int
    notes: list[str]


def add_warmup_from_log(
    directory: Path,
    sources: Sequence[str],
    *,
    records: int | None = None,
    append: bool = False,
    check: Callable[[Path], None] | None = None,
) -> LogRecords:
    """Write the requests of a log, without their replies, as the warm-up records of the version in `directory`.

    What was asked several times is written once: a repetition warms nothing up.

    Args:
        directory: a version directory.
        sources: as `log_files` takes them.
        records: use the first so many different ones that fit the model; if None 1000, the most that a server takes.
        append: keep the records that are there already, in place of replacing them.
        check: as `write_records` takes it.

    Raises:
        TfsError: the model or a file cannot be read, or no record fits the model.
    """
    model = _Model.read(directory)
    limit = MAX_RECORDS if records is None else records
    found: dict[bytes, Any] = {}
    kept_already = {
        log.SerializeToString(deterministic=True): log for log in (read_records(directory) if append else ())
    }
    left_out = _LeftOut()
    notes: list[str] = []
    for place, log in _logs(log_files(sources), notes):
        kind = log.WhichOneof("log_type") or "none"
        if kind not in _REPLAYED:
            left_out.kinds[kind.removesuffix("_log")] += 1
            continue
        request = getattr(log, kind).request
        try:
            model.check(kind, request)
        except TfsError as error:
            left_out.add(f"{place}: {error}")
            continue
        kept = prediction_log_pb2.PredictionLog()
        getattr(kept, kind).request.CopyFrom(request)
        serialized = kept.SerializeToString(deterministic=True)
        if serialized in found:
            continue
        if len(found) == limit:
            notes.append(f"the log has more records, the first {limit} are used")
            break
        found[serialized] = kept
    notes += left_out.notes()
    if not found:
        raise TfsError(f"the log has no record for `{directory}`", "; ".join(notes) or "it is empty")
    write_records(directory, (kept_already | found).values(), check)
    return LogRecords(len(found), notes)


def log_files(sources: Sequence[str]) -> list[Path]:
    """Return the files that are meant, in the order given and by name, which for a log is the order in time.

    Args:
        sources: files, patterns such as `logs/digits.*`, or filename_prefixes of a request log such as `logs/digits`.

    Raises:
        TfsError: a source is no file and stands for none.
    """
    files: list[Path] = []
    for source in sources:
        if Path(source).is_file():
            files.append(Path(source))
            continue
        found = glob.glob(source) or glob.glob(f"{glob.escape(source)}.*.tfrecord")
        matches = sorted(path for path in map(Path, found) if path.is_file())
        if not matches:
            raise TfsError(f"`{source}` is no file, and no request log begins so", "name files, or a filename_prefix")
        files += matches
    return list(dict.fromkeys(files))


def _logs(files: Sequence[Path], notes: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield each PredictionLog with its place; a file that is cut off ends early and is noted."""
    for file in files:
        try:
            for number, data in enumerate(read_tfrecord(file)):
                place = f"`{file}` record {number}"
                try:
                    yield place, prediction_log_pb2.PredictionLog.FromString(data)
                except DecodeError as error:
                    raise TfsError(f"{place} is no PredictionLog: {error}") from error
        except TruncatedError as error:
            notes.append(f"{error}: a server was killed or still writes it; the records before are used")
        except OSError as error:
            raise TfsError(f"`{file}` cannot be read: {error.strerror}") from error


@dataclass
class _LeftOut:
    kinds: Counter[str] = field(default_factory=Counter)
    unfit: int = 0
    first_unfit: str = ""

    def add(self, reason: str) -> None:
        self.first_unfit = self.first_unfit or reason
        self.unfit += 1

    def notes(self) -> list[str]:
        notes = [
            f"{count} {kind} record(s) are left out: a server does not replay such"
            for kind, count in sorted(self.kinds.items())
        ]
        if self.unfit:
            notes.append(
                f"{self.unfit} record(s) do not fit the model and are left out, the first is {self.first_unfit}"
            )
        return notes


@dataclass(frozen=True)
class _Model:
    directory: Path
    signatures: dict[str, Signature]
    definitions: Any

    @classmethod
    def read(cls, directory: Path) -> "_Model":
        graph = meta_graph(read_saved_model(directory), directory)
        return cls(directory, signatures_of(graph), graph.signature_def)

    def check(self, kind: str, request: Any) -> None:
        """Refuse a request that the model would not answer, as far as that can be told without running it.

        Raises:
            TfsError: it names no signature of the model, or its inputs do not fit.
        """
        if kind == "predict_log":
            self._check_predict(request)
            return
        if kind == "multi_inference_log":
            tasks = [(task.model_spec.signature_name, task.method_name) for task in request.tasks]
        else:
            tasks = [(request.model_spec.signature_name, _METHODS[kind])]
        if not request.input.example_list.examples and not request.input.example_list_with_context.examples:
            raise TfsError("the request has no examples")
        if not tasks:
            raise TfsError("the request has no tasks")
        for name, method in tasks:
            _check_method(self._signature(name), method)

    def _signature(self, name: str) -> Signature:
        return signature_named(self.signatures, name or DEFAULT_SIGNATURE, self.directory)

    def _check_predict(self, request: Any) -> None:
        signature = self._signature(request.model_spec.signature_name)
        inputs = {alias: array_from_proto(proto) for alias, proto in sorted(request.inputs.items())}
        # TensorFlow 2.15 has no defaults yet.
        defaults = getattr(self.definitions[signature.name], "defaults", {})
        if unknown := inputs.keys() - signature.inputs.keys():
            raise TfsError(f"there is no input `{min(unknown)}`")
        if missing := signature.inputs.keys() - inputs.keys() - set(defaults):
            raise TfsError(f"input `{min(missing)}` is missing")
        for alias, proto in request.inputs.items():
            wanted = signature.inputs[alias].dtype
            if dtype_name(proto.dtype) != wanted:
                raise TfsError(f"input `{alias}` is {dtype_name(proto.dtype)}, not {wanted}")
        given = {alias: info for alias, info in signature.inputs.items() if alias in inputs}
        check_shapes(inputs, replace(signature, inputs=given))
        for alias in request.output_filter:
            if alias not in signature.outputs:
                raise TfsError(f"there is no output `{alias}`")


def _check_method(signature: Signature, method: str) -> None:
    outputs = signature.outputs.keys()
    if method == _METHODS["classify_log"]:
        fits = 1 <= len(outputs) <= 2 and bool(outputs & {"classes", "scores"})
    else:
        fits = method == _METHODS["regress_log"] and outputs == {"outputs"}
    if not fits or [(alias, info.dtype) for alias, info in signature.inputs.items()] != [("inputs", "string")]:
        raise TfsError(f"signature `{signature.name}` is none for {method.rpartition('/')[2]}")
