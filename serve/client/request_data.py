"""What is sent: a REST body, arrays, examples or images, read first and bound to a signature when that is known."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.image_inputs import IMAGE_SUFFIXES, PixelRange, inputs_from_images
from tfs.savedmodel.predict_inputs import inputs_from_arrays, signature_name_of_body
from tfs.savedmodel.reading import Signature
from tfs.savedmodel.tensors import array_from_proto
from tfs.savedmodel.warmup_examples import log_of_examples, read_examples
from tfs.savedmodel.warmup_sources import load_arrays
from tfs.serve.client.request import Method, Request

__all__ = ["RequestData", "body_of_text", "read_data"]

_STDIN = "-"
_TFRECORD = (".tfrecord", ".tfrecords")


@dataclass(frozen=True)
class RequestData:
    """The data of one request; one of these is there.

    Attributes:
        body: of a REST request.
        arrays: by input.
        examples: `tf.train.Example` protos.
        images: files.
        pixels: what the images' black and white become.
    """

    body: dict[str, Any] | None = None
    arrays: dict[str, np.ndarray] | None = None
    examples: tuple[Any, ...] | None = None
    images: tuple[Path, ...] = ()
    pixels: PixelRange = field(default_factory=PixelRange)

    def signature_name(self, default: str) -> str:
        """Return the signature that the body names, or `default`."""
        return default if self.body is None else signature_name_of_body(self.body, default)

    def request(self, model: str, version: int | None, signature: Signature, method: Method) -> Request:
        """Return the request with this data.

        Raises:
            TfsError: the data does not fit the signature, or is none for the method.
        """
        blank = Request(model, version, signature, method)
        if self.body is not None:
            return replace(blank, body=self.body)
        if method is not Method.PREDICT:
            if self.examples is None:
                raise TfsError(f"{method.value} takes examples: JSON with `examples`, or a .tfrecord of tf.Examples")
            return replace(blank, examples=self.examples)
        if self.examples is not None:
            log = log_of_examples(replace(signature, method_name=""), self.examples)
            protos = log.predict_log.request.inputs
            return replace(blank, inputs={alias: array_from_proto(protos[alias]) for alias in sorted(protos)})
        if self.images:
            return replace(blank, inputs=inputs_from_images(self.images, signature, self.pixels))
        return replace(blank, inputs=inputs_from_arrays(self.arrays or {}, signature))


def read_data(sources: Sequence[str], pixels: PixelRange | None = None) -> RequestData:
    """Read what is to be sent.

    Args:
        sources: one `.json`, `.npz` or `.tfrecord` file, or `-` for JSON on stdin; or image files, a row each.
        pixels: of images.

    Raises:
        UsageError: there are several sources and not all are images, or stdin is a terminal.
        TfsError: a file cannot be read, or holds something else.
    """
    images = tuple(Path(source) for source in sources if Path(source).suffix.lower() in IMAGE_SUFFIXES)
    if images and len(images) == len(sources):
        return RequestData(images=images, pixels=pixels or PixelRange())
    if len(sources) != 1:
        raise UsageError("several --data are for images; of other files there is one")
    [source] = sources
    if source.endswith(".npz"):
        return RequestData(arrays=load_arrays(Path(source)))
    if source.endswith(_TFRECORD):
        return RequestData(examples=tuple(read_examples(Path(source), sys.maxsize)))
    return RequestData(body=body_of_text(_read_text(source), source))


def body_of_text(text: str, place: str) -> dict[str, Any]:
    """Return the REST body in a text.

    Raises:
        TfsError: it is no JSON, or no object; the message begins with `place`.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TfsError(f"`{place}` is no JSON: {error}", 'it looks like {"instances": [...]}') from error
    signature_name_of_body(body, "")
    return dict(body)


def _read_text(source: str) -> str:
    if source == _STDIN and sys.stdin.isatty():
        raise UsageError("nothing to send", "give --data FILE, or the request on stdin")
    try:
        return sys.stdin.read() if source == _STDIN else Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise TfsError(f"`{source}` cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TfsError(f"`{source}` is no JSON: {error}") from error
