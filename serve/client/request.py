"""One request to a model, as gRPC's message and as REST's body."""

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.json_examples import example_from_json, json_from_example
from tfs.savedmodel.json_tensors import json_from_array
from tfs.savedmodel.predict_inputs import inputs_from_body
from tfs.savedmodel.protos import classification_pb2, input_pb2, predict_pb2, regression_pb2
from tfs.savedmodel.reading import Signature
from tfs.savedmodel.tensors import proto_from_array
from tfs.serve.client.calls import model_path

__all__ = ["Method", "Request", "method_of"]

_METHOD_NAMES = {"tensorflow/serving/classify": "classify", "tensorflow/serving/regress": "regress"}


class Method(str, Enum):
    """What is asked for."""

    PREDICT = "predict"
    CLASSIFY = "classify"
    REGRESS = "regress"

    @property
    def grpc_name(self) -> str:
        """The name of the method in PredictionService."""
        return self.value.capitalize()


def method_of(signature: Signature) -> Method:
    """Return how a signature is meant to be called."""
    return Method(_METHOD_NAMES.get(signature.method_name, Method.PREDICT.value))


@dataclass(frozen=True)
class Request:
    """What is asked. Exactly one of `inputs`, `examples` and `body` is there.

    Attributes:
        model: its name.
        version: its version; None for the one that the server chooses.
        signature: that is called.
        method: how it is called.
        inputs: arrays by alias, for Predict.
        examples: `tf.train.Example` protos, for Classify and Regress.
        body: of a REST request; over REST it goes as it is, so that the server judges it.
    """

    model: str
    version: int | None
    signature: Signature
    method: Method
    inputs: dict[str, np.ndarray] | None = None
    examples: tuple[Any, ...] | None = None
    body: dict[str, Any] | None = None

    @property
    def rest_path(self) -> str:
        """The path of the URL."""
        return f"{model_path(self.model, self.version)}:{self.method.value}"

    def rest_body(self) -> bytes:
        """Return what is posted."""
        body: dict[str, Any]
        if self.body is not None:
            body = self.body
        elif self.examples is not None:
            body = {"examples": [json_from_example(example) for example in self.examples]}
        else:
            body = {"inputs": {alias: json_from_array(array) for alias, array in (self.inputs or {}).items()}}
        return json.dumps({**body, "signature_name": self.signature.name}).encode()

    def message(self) -> Any:
        """Return the message of the method.

        Raises:
            TfsError: the body does not fit the signature or the method.
        """
        request = self._predict_message() if self.method is Method.PREDICT else self._examples_message()
        request.model_spec.name = self.model
        request.model_spec.signature_name = self.signature.name
        if self.version is not None:
            request.model_spec.version.value = self.version
        return request

    def _predict_message(self) -> Any:
        request = predict_pb2.PredictRequest()
        inputs = self.inputs if self.body is None else inputs_from_body(self.body, self.signature)
        for alias, array in (inputs or {}).items():
            request.inputs[alias].CopyFrom(proto_from_array(array))
        return request

    def _examples_message(self) -> Any:
        classify = self.method is Method.CLASSIFY
        request = classification_pb2.ClassificationRequest() if classify else regression_pb2.RegressionRequest()
        if self.body is None:
            request.input.example_list.examples.extend(self.examples or ())
        else:
            request.input.CopyFrom(_input_of(self.body))
        return request


def _input_of(body: dict[str, Any]) -> Any:
    examples = body.get("examples")
    if not isinstance(examples, list) or not examples:
        raise TfsError("the request needs `examples`, a list of objects", '{"examples": [{"age": 41}]}')
    given = input_pb2.Input()
    listed = given.example_list_with_context if "context" in body else given.example_list
    if "context" in body:
        listed.context.CopyFrom(example_from_json(body["context"]))
    for number, example in enumerate(examples):
        try:
            listed.examples.append(example_from_json(example))
        except TfsError as error:
            raise TfsError(f"examples[{number}]: {error.message}", error.hint) from error
    return given
