"""The requests of a load: generated for a signature, or from data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.input_hints import InputHints
from tfs.savedmodel.reading import Signature, signature_named
from tfs.savedmodel.synthetic import generate, generate_examples
from tfs.savedmodel.warmup import DEFAULT_SIGNATURE
from tfs.serve.client.request import Method, Request, method_of
from tfs.serve.client.request_data import RequestData, body_of_text, read_data

__all__ = ["Asked", "data_of_load", "requests_of_load"]

_GENERATED = 10  # different requests, sent in turn: a cache cannot know them all as one


@dataclass(frozen=True)
class Asked:
    """What a load asks for.

    Attributes:
        model: its name.
        version: its version; None for the one that the server chooses.
        signature_name: the signature; None for the one that the data names, or `serving_default`.
        method: how it is called; None for how it is meant to be.
    """

    model: str
    version: int | None = None
    signature_name: str | None = None
    method: Method | None = None


def data_of_load(sources: Sequence[str]) -> list[RequestData]:
    """Read the data of a load: what `read_data` takes, or a `.jsonl` file with a REST body on each line.

    Raises:
        UsageError, TfsError: as `read_data`; a `.jsonl` file has no lines.
    """
    if len(sources) != 1 or not sources[0].endswith(".jsonl"):
        return [read_data(sources)] if sources else []
    [source] = sources
    try:
        lines = Path(source).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TfsError(f"`{source}` cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TfsError(f"`{source}` is no UTF-8 text: {error}") from error
    found = [
        RequestData(body=body_of_text(line, f"{source}` line `{number}"))
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not found:
        raise TfsError(f"`{source}` has no requests")
    return found


def requests_of_load(
    asked: Asked,
    data: Sequence[RequestData],
    signatures: Mapping[str, Signature],
    *,
    rows: int = 1,
    hints: InputHints | None = None,
) -> list[Request]:
    """Return the requests that are sent in turn; all call the same method.

    Args:
        asked: what is asked for.
        data: of the requests; without any, ten different ones are generated.
        signatures: of the model.
        rows: of each generated request.
        hints: what is known of the model's inputs.

    Raises:
        UsageError: the data calls signatures of several methods.
        TfsError: the model has no such signature, the data does not fit it, or none can be generated.
    """
    default = asked.signature_name or DEFAULT_SIGNATURE
    if data:
        requests = []
        for one in data:
            name = asked.signature_name or one.signature_name(default)
            signature = signature_named(dict(signatures), name, Path(asked.model))
            requests.append(one.request(asked.model, asked.version, signature, asked.method or method_of(signature)))
        if len({request.method for request in requests}) > 1:
            raise UsageError("the lines call signatures of several methods", "choose one by --method")
        return requests
    signature = signature_named(dict(signatures), default, Path(asked.model))
    method = asked.method or method_of(signature)
    if method is Method.PREDICT:
        return [
            Request(asked.model, asked.version, signature, method, inputs=generate(signature, rows, seed, hints))
            for seed in range(_GENERATED)
        ]
    if hints is None or not hints.features:
        raise TfsError(f"the features of signature `{signature.name}` are not known", "give --data")
    return [
        Request(asked.model, asked.version, signature, method, examples=tuple(generate_examples(hints, rows, seed)))
        for seed in range(_GENERATED)
    ]
