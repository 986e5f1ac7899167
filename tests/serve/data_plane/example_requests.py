"""Requests with tf.Examples, for the model that make_examples_model.py writes."""

from typing import Any

from clients import spec

from tfs.savedmodel.protos import load

MODEL = "examples"


def example(*values: float, **features: list[float]) -> Any:
    message = load("example_pb2").Example()
    for name, numbers in ({"x": list(values)} if values else {} | features).items():
        message.features.feature[name].float_list.value.extend(numbers)
    return message


def examples_input(*examples: Any, context: Any = None) -> Any:
    message = load("input_pb2").Input()
    if context is None:
        message.example_list.examples.extend(examples)
    else:
        message.example_list_with_context.examples.extend(examples)
        message.example_list_with_context.context.CopyFrom(context)
    return message


def classification(signature: str = "", *examples: Any, **options: Any) -> Any:
    return load("classification_pb2").ClassificationRequest(
        model_spec=spec(MODEL, signature=signature), input=examples_input(*examples, **options)
    )


def regression(signature: str = "regress", *examples: Any, **options: Any) -> Any:
    return load("regression_pb2").RegressionRequest(
        model_spec=spec(MODEL, signature=signature), input=examples_input(*examples, **options)
    )


def task(signature: str, method: str, name: str = MODEL) -> Any:
    return load("inference_pb2").InferenceTask(
        model_spec=spec(name, signature=signature), method_name=f"tensorflow/serving/{method}"
    )


def multi(*tasks: Any) -> Any:
    return load("inference_pb2").MultiInferenceRequest(tasks=tasks, input=examples_input(example(1.0, 2.0)))
