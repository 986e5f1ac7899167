"""The inputs of a predict request, from a REST body or from arrays, checked against a signature."""

from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.json_tensors import array_from_json
from tfs.savedmodel.numpy_dtypes import dtype_of_array, numpy_dtype
from tfs.savedmodel.reading import Signature, TensorInfo
from tfs.savedmodel.tensors import string_array

__all__ = ["check_shapes", "inputs_from_arrays", "inputs_from_body", "signature_name_of_body"]


def signature_name_of_body(body: Any, default: str) -> str:
    """Return the signature that a REST predict body names, or `default`.

    Raises:
        TfsError: the body is no JSON object, or its signature_name no string.
    """
    if not isinstance(body, dict):
        raise TfsError("the request is no JSON object", 'it looks like {"instances": [...]}')
    name = body.get("signature_name", default)
    if not isinstance(name, str):
        raise TfsError("`signature_name` is no string")
    return name


def inputs_from_body(body: dict[str, Any], signature: Signature) -> dict[str, np.ndarray]:
    """Return the inputs by alias that a REST predict body (`instances` or `inputs`) means for a signature.

    Raises:
        TfsError: the body has neither or both, names other inputs than the signature, or has values of other dtypes.
    """
    if ("instances" in body) == ("inputs" in body):
        raise TfsError("the request must have exactly one of `instances` (rows) and `inputs` (columns)")
    if "instances" in body:
        return _from_rows(body["instances"], signature)
    columns = body["inputs"]
    if not _is_named(columns):
        columns = {_only_input(signature, "inputs"): columns}
    _check_names(columns.keys() & signature.inputs.keys(), signature)
    return {alias: _from_json(columns[alias], alias, info) for alias, info in signature.inputs.items()}


def inputs_from_arrays(arrays: dict[str, np.ndarray], signature: Signature) -> dict[str, np.ndarray]:
    """Return arrays by alias in the signature's dtypes.

    A dtype of the same kind is converted when no integer changes its value (float64 to float32, int64 to int32).

    Raises:
        TfsError: the names are not those of the inputs, or a dtype does not fit.
    """
    _check_names(arrays.keys(), signature)
    return {alias: _converted(np.asarray(arrays[alias]), alias, info) for alias, info in signature.inputs.items()}


def check_shapes(inputs: dict[str, np.ndarray], signature: Signature) -> None:
    """Refuse inputs whose shape is not the signature's. A server leaves that to the graph; a record must not fail.

    Raises:
        TfsError: a rank or a known size differs; the message names the input.
    """
    for alias, info in signature.inputs.items():
        shape = inputs[alias].shape
        if info.shape is None:
            continue
        same_rank = len(shape) == len(info.shape)
        if not same_rank or any(wanted not in (None, size) for size, wanted in zip(shape, info.shape, strict=True)):
            sizes = ", ".join("?" if size is None else str(size) for size in info.shape)
            raise TfsError(f"input `{alias}`: shape {list(shape)} does not fit [{sizes}]")


def _from_rows(rows: Any, signature: Signature) -> dict[str, np.ndarray]:
    if not isinstance(rows, list) or not rows:
        raise TfsError("`instances` must be a list with at least one row")
    named = _is_named(rows[0])
    columns: dict[str, list[Any]] = {alias: [] for alias in signature.inputs}
    for number, row in enumerate(rows):
        if _is_named(row) != named:
            raise TfsError(f"instances[{number}] is an object where others are values, or the other way round")
        values = row if named else {_only_input(signature, "instances"): row}
        try:
            _check_names(values.keys(), signature)
        except TfsError as error:
            raise TfsError(f"instances[{number}]: {error.message}", error.hint) from error
        for alias, value in values.items():
            columns[alias].append(value)
    return {alias: _from_json(columns[alias], alias, info) for alias, info in signature.inputs.items()}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and list(value) != ["b64"]


def _only_input(signature: Signature, key: str) -> str:
    if len(signature.inputs) != 1:
        names = ", ".join(signature.inputs) or "none"
        raise TfsError(f"`{key}` must name the inputs of signature `{signature.name}`", f"they are: {names}")
    return next(iter(signature.inputs))


def _check_names(names: Any, signature: Signature) -> None:
    unknown = sorted(names - signature.inputs.keys())
    missing = sorted(signature.inputs.keys() - names)
    expected = f"signature `{signature.name}` takes: {', '.join(signature.inputs) or 'nothing'}"
    if unknown:
        raise TfsError(f"there is no input `{unknown[0]}`", expected)
    if missing:
        raise TfsError(f"input `{missing[0]}` is missing", expected)


def _from_json(value: Any, alias: str, info: TensorInfo) -> np.ndarray:
    try:
        return array_from_json(value, info.dtype)
    except TfsError as error:
        raise TfsError(f"input `{alias}`: {error.message}", error.hint) from error


def _converted(array: np.ndarray, alias: str, info: TensorInfo) -> np.ndarray:
    try:
        if info.dtype == "string":
            return string_array(array)
        if dtype_of_array(array) == info.dtype:
            return array
        wanted = numpy_dtype(info.dtype)
        both_integer = array.dtype.kind in "iu" and wanted.kind in "iu"
        if not both_integer and not np.can_cast(array.dtype, wanted, "same_kind"):
            raise TfsError(f"an array of {array.dtype} is no {info.dtype}")
        converted = array.astype(wanted)
        if both_integer and not np.array_equal(converted, array):
            raise TfsError(f"values of the {array.dtype} array are out of the range of {info.dtype}")
        return converted
    except TfsError as error:
        raise TfsError(f"input `{alias}`: {error.message}", error.hint) from error
