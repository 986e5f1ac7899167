"""Image files as the input of a model: as they are for one that decodes them, else as pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.numpy_dtypes import numpy_dtype
from tfs.savedmodel.reading import Signature, TensorInfo

__all__ = ["IMAGE_SUFFIXES", "PixelRange", "inputs_from_images"]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # Pillow's, by the number of channels
_PIXEL_RANK = 4


@dataclass(frozen=True)
class PixelRange:
    """What black and white become where the input holds floats; integers are 0 to 255."""

    black: float = 0.0
    white: float = 1.0


def inputs_from_images(files: Sequence[Path], signature: Signature, pixels: PixelRange) -> dict[str, np.ndarray]:
    """Return the one input of a signature with a row for each image.

    An input of strings gets the files' bytes; one of numbers [rows, height, width, channels] gets pixels, where the
    images are brought to the height and width that the signature knows, else keep their own.

    Raises:
        TfsError: the signature has another input, a file cannot be read, or the images differ in size.
    """
    if len(signature.inputs) != 1:
        names = ", ".join(signature.inputs) or "none"
        raise TfsError(f"images are for a signature with one input, `{signature.name}` has: {names}")
    [(alias, info)] = signature.inputs.items()
    if info.dtype == "string":
        encoded = np.empty(len(files), dtype=object)
        encoded[:] = [_bytes(file) for file in files]
        return {alias: encoded}
    if info.shape is None or len(info.shape) != _PIXEL_RANK or (info.shape[3] or 3) not in _MODES:
        raise TfsError(
            f"input `{alias}` takes no images: they are strings, or numbers [rows, height, width, 1, 3 or 4 channels]"
        )
    images = [_pixels(file, info) for file in files]
    if len({image.shape for image in images}) > 1:
        raise TfsError(f"the images differ in size, and input `{alias}` does not say which one it wants")
    stacked = np.stack(images)
    dtype = numpy_dtype(info.dtype)
    if dtype.kind in "iu":
        return {alias: stacked.astype(dtype)}
    return {alias: (pixels.black + stacked / 255 * (pixels.white - pixels.black)).astype(dtype)}


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise TfsError(f"`{file}` cannot be read: {error.strerror}") from error


def _pixels(file: Path, info: TensorInfo) -> np.ndarray:
    """Return the pixels of an image, uint8 [height, width, channels]."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise TfsError(f"`{file}` needs Pillow to become pixels", "pip install 'tfs[images]'") from error

    _, height, width, channels = info.shape or ()
    try:
        with Image.open(file) as image:
            converted = image.convert(_MODES[channels or 3])
    except UnidentifiedImageError as error:
        raise TfsError(f"`{file}` is no image that Pillow knows") from error
    except OSError as error:
        raise TfsError(f"`{file}` cannot be read: {error.strerror or error}") from error
    wanted = (width or converted.width, height or converted.height)
    if converted.size != wanted:
        converted = converted.resize(wanted, Image.Resampling.BILINEAR)
    return np.asarray(converted, np.uint8).reshape(wanted[1], wanted[0], -1)
