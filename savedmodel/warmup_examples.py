"""Warm-up records made of `tf.train.Example` protos, for Classify, Regress, MultiInference or Predict."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.predict_inputs import check_shapes, inputs_from_arrays
from tfs.savedmodel.protos import example_pb2, prediction_log_pb2
from tfs.savedmodel.reading import Signature
from tfs.savedmodel.tensors import proto_from_array
from tfs.savedmodel.tfrecord import read_tfrecord

__all__ = ["log_of_examples", "multi_inference_log", "read_examples", "takes_examples"]

_DTYPES: dict[str, type] = {"float_list": np.float32, "int64_list": np.int64, "bytes_list": object}
_METHODS = {"tensorflow/serving/classify": "classify_log", "tensorflow/serving/regress": "regress_log"}


def takes_examples(signature: Signature) -> bool:
    """Tell whether a signature is called by Classify or Regress, with examples in place of tensors."""
    return signature.method_name in _METHODS


def read_examples(file: Path, limit: int) -> list[Any]:
    """Return the first so many `tf.train.Example` protos of a TFRecord file.

    Raises:
        TfsError: the file cannot be read, is damaged, or holds something else.
    """
    found: list[Any] = []
    try:
        for number, data in enumerate(read_tfrecord(file)):
            if len(found) == limit:
                break
            try:
                example = example_pb2.Example.FromString(data)
            except DecodeError as error:
                raise TfsError(f"`{file}` record {number} is no tf.train.Example: {error}") from error
            if not example.features.feature:
                raise TfsError(f"`{file}` record {number} is no tf.train.Example: it has no features")
            found.append(example)
    except OSError as error:
        raise TfsError(f"`{file}` cannot be read: {error.strerror}") from error
    if not found:
        raise TfsError(f"`{file}` has no examples")
    return found


def log_of_examples(signature: Signature, examples: Iterable[Any]) -> Any:
    """Return the record that asks a signature about examples.

    A signature for Classify or Regress gets such a request. One with a single string input gets the examples
    serialized; one with other inputs gets the features of the inputs' names, stacked.

    Raises:
        TfsError: an example has no feature for an input, or the features do not fit the signature.
    """
    log = prediction_log_pb2.PredictionLog()
    listed = list(examples)
    if signature.method_name in _METHODS:
        request = getattr(log, _METHODS[signature.method_name]).request
        request.model_spec.signature_name = signature.name
        request.input.example_list.examples.extend(listed)
        return log
    infos = list(signature.inputs.values())
    if len(infos) == 1 and infos[0].dtype == "string":
        serialized = np.empty(len(listed), dtype=object)
        serialized[:] = [example.SerializeToString(deterministic=True) for example in listed]
        inputs = {next(iter(signature.inputs)): serialized}
    else:
        stacked = {alias: _stacked(listed, alias, info.shape) for alias, info in signature.inputs.items()}
        inputs = inputs_from_arrays(stacked, signature)
    check_shapes(inputs, signature)
    request = log.predict_log.request
    request.model_spec.signature_name = signature.name
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(proto_from_array(array))
    return log


def multi_inference_log(signatures: Iterable[Signature], examples: Iterable[Any]) -> Any:
    """Return the record that asks several Classify and Regress signatures about the same examples."""
    log = prediction_log_pb2.PredictionLog()
    request = log.multi_inference_log.request
    request.input.example_list.examples.extend(examples)
    for signature in signatures:
        task = request.tasks.add(method_name=signature.method_name)
        task.model_spec.signature_name = signature.name
    return log


def _stacked(examples: list[Any], alias: str, shape: tuple[int | None, ...] | None) -> np.ndarray:
    rows = []
    for number, example in enumerate(examples):
        feature = example.features.feature.get(alias)
        kind = feature.WhichOneof("kind") if feature is not None else None
        if kind is None:
            raise TfsError(f"example {number} has no feature for the input `{alias}`")
        values = list(getattr(feature, kind).value)
        rows.append(
            np.array(values, dtype={"float_list": np.float32, "int64_list": np.int64, "bytes_list": object}[kind])
        )
    if len({len(row) for row in rows}) > 1:
        raise TfsError(f"the examples have features `{alias}` of unequal length")
    stacked = np.stack(rows)
    # A signature knows how the values of one example are laid out.
    inner = () if shape is None else shape[1:]
    if sum(size is None for size in inner) > 1:
        return stacked
    try:
        return stacked.reshape(len(rows), *(-1 if size is None else size for size in inner))
    except ValueError as error:
        raise TfsError(f"input `{alias}`: {len(rows[0])} values of a feature do not fit its shape") from error
