"""Generated inputs for a signature: for verification and for warm-up without data."""

from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.input_hints import ExampleFeature, InputHints
from tfs.savedmodel.numpy_dtypes import numpy_dtype
from tfs.savedmodel.protos import example_pb2
from tfs.savedmodel.reading import Signature, TensorInfo

__all__ = ["generate", "generate_examples"]

_UNKNOWN_SIZE = 8  # long enough for a short sequence, small enough to run at once
_UNKNOWN_IMAGE_SIZE = 32  # height and width of [?, ?, ?, C]: image nets halve them up to five times
_IMAGE_RANK = 4
_SHARE_OF_VOCABULARY = 0.75
_Features = dict[str, ExampleFeature]
_FLOAT, _INT64 = 1, 9  # DataType numbers of features

# Common words hit most vocabularies, the others miss them; one has bytes beyond ASCII, one is empty.
_WORDS = (b"the", b"good movie", b"zyxwv", "stra\u00dfe".encode(), b"a", b"0", b"")


def generate(
    signature: Signature, batch_size: int, seed: int, hints: InputHints | None = None
) -> dict[str, np.ndarray]:
    """Return one array for each input of a signature; the same arguments give the same values.

    Floats (and complex parts) are in [0, 1) and not all zero, bools both ways where there are two elements. Integers
    are 0 or 1 (ids that every table has) and not all zero, or any id of the table that the hints name for them.
    Strings are `bytes`: words and nonsense, mostly words of the hints' vocabulary if there is one, or serialized
    examples if the model parses such.

    An unknown first dimension becomes `batch_size`, other unknown ones 8 (32 for height and width of images); an
    unknown rank becomes `[batch_size]`. A known first dimension stays as it is.

    Raises:
        TfsError: an input is sparse, composite or of a dtype that cannot be sent to a server.
    """
    random = np.random.default_rng(seed)
    known = hints or InputHints()
    if not known.examples and sum(info.dtype == "string" for info in signature.inputs.values()) != 1:
        # Where they could not be traced, examples come in the one input that holds strings.
        known = replace(known, features={})
    words = _Words(random, known.words, leading=seed == 0)
    return {
        alias: _values(random, alias, info, _shape(info.shape, batch_size), known, words)
        for alias, info in signature.inputs.items()
    }


def generate_examples(hints: InputHints, count: int, seed: int) -> list[Any]:
    """Return so many `tf.train.Example` protos with the features that a model parses."""
    random = np.random.default_rng(seed)
    words = _Words(random, hints.words, leading=seed == 0)
    return [_example(random, hints.features, words) for _ in range(count)]


class _Words:
    """Words and nonsense; three of four are of the vocabulary, if there is one, whose words come in turn.

    With `leading` the first element of each tensor is a word that most vocabularies have. That is for the first of
    several requests: the others of a single row would all be the same.
    """

    def __init__(self, random: np.random.Generator, vocabulary: tuple[bytes, ...], *, leading: bool) -> None:
        self._random = random
        self._vocabulary = vocabulary
        self._in_turn = cycle(random.permutation(len(vocabulary)).tolist())
        self._leading = leading

    def fill(self, shape: tuple[int, ...]) -> np.ndarray:
        values = np.empty(int(np.prod(shape)), dtype=object)
        for index in range(len(values)):
            known = bool(self._vocabulary) and self._random.random() < _SHARE_OF_VOCABULARY
            words = self._vocabulary if known else _WORDS
            if self._leading and index == 0:
                values[index] = words[0]
            else:
                values[index] = words[next(self._in_turn) if known else self._random.integers(len(words))]
        return values.reshape(shape)


def _values(  # noqa: PLR0913, PLR0917  what there is to know of an input
    random: np.random.Generator,
    alias: str,
    info: TensorInfo,
    shape: tuple[int, ...],
    hints: InputHints,
    words: _Words,
) -> np.ndarray:
    if info.components:
        raise TfsError(f"input `{alias}` is sparse or composite: no values can be generated for it", "give data")
    dtype = numpy_dtype(info.dtype)
    placeholder = info.name.split(":")[0]
    if info.dtype == "string":
        features = hints.examples.get(placeholder, {}) if hints.examples else hints.features
        return _examples(random, shape, features, words) if features else words.fill(shape)
    if dtype.kind in "iu" and (ids := hints.id_ranges.get(placeholder, 0)):
        return random.integers(0, min(ids, np.iinfo(dtype.name).max), size=shape).astype(dtype)
    if dtype.kind in "iub":
        return _zeros_and_ones(random, shape).astype(dtype)
    values = random.random(shape)
    if dtype.kind == "c":
        return np.asarray(values + 1j * random.random(shape), dtype=dtype)
    return np.asarray(values, dtype=dtype)


def _shape(shape: tuple[int | None, ...] | None, batch_size: int) -> tuple[int, ...]:
    if shape is None:
        return (batch_size,)
    image = len(shape) == _IMAGE_RANK and shape[1] is None and shape[2] is None
    unknown = _UNKNOWN_IMAGE_SIZE if image else _UNKNOWN_SIZE
    return tuple(size if size is not None else batch_size if axis == 0 else unknown for axis, size in enumerate(shape))


def _zeros_and_ones(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    flat = random.integers(0, 2, size=int(np.prod(shape)))
    flat[:2] = [1, 0][: len(flat)]  # neither all zero nor, with two elements, all one
    return flat.reshape(shape)


def _examples(random: np.random.Generator, shape: tuple[int, ...], features: _Features, words: _Words) -> np.ndarray:
    values = np.empty(int(np.prod(shape)), dtype=object)
    for index in range(len(values)):
        values[index] = _example(random, features, words).SerializeToString()
    return values.reshape(shape)


def _example(random: np.random.Generator, features: _Features, words: _Words) -> Any:
    example = example_pb2.Example()
    for key, feature in sorted(features.items()):
        size = 1 if feature.size is None else feature.size
        values = example.features.feature[key]
        if feature.dtype == _FLOAT:
            values.float_list.value.extend(random.random(size).tolist())
        elif feature.dtype == _INT64:
            values.int64_list.value.extend(random.integers(0, 2, size=size).tolist())
        else:
            values.bytes_list.value.extend(words.fill((size,)).tolist())
    return example
