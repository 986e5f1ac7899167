"""What a model is called with when it does not say so itself: `--input` and `--sample`."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from tfs.exporters.options import ExportOptions
from tfs.savedmodel.errors import TfsError, UsageError

__all__ = ["input_specs", "read_sample"]

_SPEC = re.compile(r"([a-z0-9_]+)\[([0-9?,\s]*)\]")
# What a user means by a number in JSON: Keras' own defaults.
_JSON_DTYPES = {"f": np.float32, "i": np.int32, "b": np.bool_, "U": np.object_, "S": np.object_}


def input_specs(options: ExportOptions) -> list[Any] | None:
    """Return a named `tf.TensorSpec` for each input that the options describe; None if they describe none.

    Raises:
        UsageError: a description is none.
        TfsError: the sample cannot be read.
    """
    import tensorflow as tf

    if options.inputs:
        return [_parse(name, text) for name, text in options.inputs.items()]
    if options.sample is None:
        return None
    sample = read_sample(options.sample)
    return [tf.TensorSpec([None, *array.shape[1:]], array.dtype, name=name) for name, array in sample.items()]


def read_sample(file: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a sample by the name of the input; all have a batch dimension in front.

    Raises:
        TfsError: the file is no `.npz` or `.json` with arrays by name.
    """
    try:
        if file.suffix == ".npz":
            with np.load(file) as arrays:
                sample = {name: arrays[name] for name in arrays.files}
        else:
            content = json.loads(file.read_text(encoding="utf-8"))
            sample = {name: _from_json(np.array(value)) for name, value in content.items()}
    except FileNotFoundError as error:
        raise TfsError(f"--sample `{file}` does not exist") from error
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise TfsError(f"--sample `{file}` is no .npz or .json file of arrays by input name: {error}") from error
    for name, array in sample.items():
        if array.ndim == 0:
            raise TfsError(f"--sample `{file}`: `{name}` is a single value", "its first dimension is the batch")
    return sample


def _from_json(array: np.ndarray) -> np.ndarray:
    dtype = _JSON_DTYPES.get(array.dtype.kind)
    if dtype is None:
        raise ValueError(f"values of the kind {array.dtype}")
    return array.astype(dtype)


def _parse(name: str, text: str) -> Any:
    import tensorflow as tf

    found = _SPEC.fullmatch(text.strip())
    try:
        if found is None:
            raise TypeError
        dtype = tf.dtypes.as_dtype(found[1])
    except TypeError as error:
        raise UsageError(f"--input {name}=`{text}` is no dtype with a shape", "as float32[?,4]") from error
    sizes = [size.strip() for size in found[2].split(",")] if found[2].strip() else []
    if not all(size == "?" or size.isdecimal() for size in sizes):
        raise UsageError(f"--input {name}=`{text}` is no dtype with a shape", "as float32[?,4]")
    return tf.TensorSpec([None if size == "?" else int(size) for size in sizes], dtype, name=name)
