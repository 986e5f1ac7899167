"""Generated inputs for a signature: for verification and for warm-up without data."""

import numpy as np

from tfs.savedmodel.dtypes import numpy_dtype
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import Signature, TensorInfo

__all__ = ["generate"]

_UNKNOWN_SIZE = 8  # long enough for a short sequence, small enough to run at once
_UNKNOWN_IMAGE_SIZE = 32  # height and width of [?, ?, ?, C]: image nets halve them up to five times
_IMAGE_RANK = 4

# Common words hit most vocabularies, the others miss them; one has bytes beyond ASCII, one is empty.
_WORDS = (b"the", b"good movie", b"zyxwv", "stra\u00dfe".encode(), b"a", b"0", b"")


def generate(signature: Signature, batch_size: int, seed: int) -> dict[str, np.ndarray]:
    """Return one array for each input of a signature; the same arguments give the same values.

    Floats (and complex parts) are in [0, 1) and not all zero, integers 0 or 1 (ids that every table has) and not all
    zero, bools both ways where there are two elements, strings are `bytes`: words and nonsense. An unknown first
    dimension becomes `batch_size`, other unknown ones 8 (32 for height and width of images); an unknown rank becomes
    `[batch_size]`. A known first dimension stays as it is.

    Raises:
        TfsError: an input is sparse, composite or of a dtype that cannot be sent to a server.
    """
    random = np.random.default_rng(seed)
    return {alias: _values(random, alias, info, batch_size) for alias, info in signature.inputs.items()}


def _values(random: np.random.Generator, alias: str, info: TensorInfo, batch_size: int) -> np.ndarray:
    if info.components:
        raise TfsError(f"input `{alias}` is sparse or composite: no values can be generated for it", "give data")
    shape = _shape(info.shape, batch_size)
    dtype = numpy_dtype(info.dtype)
    if info.dtype == "string":
        return _strings(random, shape)
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


def _strings(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    values = np.empty(int(np.prod(shape)), dtype=object)
    for index in range(len(values)):
        # The first element is a word that most vocabularies have.
        values[index] = _WORDS[0] if index == 0 else _WORDS[random.integers(len(_WORDS))]
    return values.reshape(shape)
