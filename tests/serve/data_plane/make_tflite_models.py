"""Make the TFLite models of test_tflite.py, and the SavedModels that they were converted from.

FOLDER/tensorflow     SavedModel with the signatures serving_default, add and reverse
FOLDER/signatures     the same as TFLite, beside a SavedModel that answers otherwise
FOLDER/lone           its signature add alone
FOLDER/names          its serving_default without a signature, so that only the tensors have names
FOLDER/image          a small convolutional network
FOLDER/int8           the same with int8 weights, input and output; FOLDER/int8.json has their scales and zero points
FOLDER/slow           counts to x, one step at a time
FOLDER/rows           says how many rows were run together
FOLDER/unsupported    needs one of TensorFlow's own operations
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

FLOATS = tf.TensorSpec([None, 4], tf.float32, name="x")
INTEGERS = [tf.TensorSpec([None, 2], tf.int64, name=name) for name in "ab"]
STRINGS = tf.TensorSpec([None], tf.string, name="s")
VECTOR = tf.TensorSpec([None], tf.float32, name="x")


class Mixed(tf.Module):
    """A dense layer, integers and strings."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self.weights = tf.Variable(tf.random.stateless_normal([4, 3], seed=[1, 2]))
        self.shift = tf.Variable(shift)

    @tf.function(input_signature=[FLOATS])
    def dense(self, x: Any) -> Any:
        return {"y": tf.nn.relu(x @ self.weights) + self.shift, "total": tf.reduce_sum(x, axis=1)}

    @tf.function(input_signature=INTEGERS)
    def add(self, a: Any, b: Any) -> Any:
        return {"sum": a + b}

    @tf.function(input_signature=[STRINGS])
    def reverse(self, s: Any) -> Any:
        return {"t": tf.gather(s, tf.range(tf.shape(s)[0] - 1, -1, -1))}


class Slow(tf.Module):
    @tf.function(input_signature=[VECTOR])
    def run(self, x: Any) -> Any:
        return {"y": tf.while_loop(lambda y: tf.reduce_any(y < x), lambda y: [y + 1.0], [tf.zeros_like(x)])[0]}


class Rows(tf.Module):
    @tf.function(input_signature=[VECTOR])
    def run(self, x: Any) -> Any:
        return {"y": x, "rows": tf.fill(tf.shape(x), tf.shape(x)[0])}


class Unsupported(tf.Module):
    @tf.function(input_signature=[VECTOR])
    def run(self, x: Any) -> Any:
        return {"y": tf.linalg.det(tf.reshape(x, [-1, 1, 1]))}


def save(folder: Path, model: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(model)


def converted(module: tf.Module, method: Any, ops: Any = (tf.lite.OpsSet.TFLITE_BUILTINS,)) -> bytes:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([method.get_concrete_function()], module)
    converter.target_spec.supported_ops = list(ops)
    model: bytes = converter.convert()
    return model


def from_saved_model(path: Path, *signatures: str) -> bytes:
    model: bytes = tf.lite.TFLiteConverter.from_saved_model(str(path), signature_keys=list(signatures)).convert()
    return model


def without_signatures(content: bytes) -> bytes:
    """Return the model as converters wrote it before there were signatures."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    model.signatureDefs = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def image_model(folder: Path) -> None:
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input([8, 8, 3], name="image"),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    save(folder / "image", converter.convert())
    samples = np.random.default_rng(3).normal(size=(20, 1, 8, 8, 3)).astype(np.float32)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    quantized = converter.convert()
    save(folder / "int8", quantized)
    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(quantized)).subgraphs[0]
    tensors = {"input": graph.tensors[graph.inputs[0]], "output": graph.tensors[graph.outputs[0]]}
    scales = {
        name: [float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])]
        for name, tensor in tensors.items()
    }
    (folder / "int8.json").write_text(json.dumps(scales))


def main(folder: Path) -> None:
    tf.keras.utils.set_random_seed(5)
    for path, shift in ((folder / "tensorflow", 0.0), (folder / "signatures", 100.0)):
        mixed = Mixed(shift)
        signatures = {"serving_default": mixed.dense, "add": mixed.add, "reverse": mixed.reverse}
        tf.saved_model.save(mixed, str(path), signatures=signatures)
    save(folder / "signatures", from_saved_model(folder / "tensorflow", "serving_default", "add", "reverse"))
    save(folder / "lone", from_saved_model(folder / "tensorflow", "add"))
    save(folder / "names", without_signatures(from_saved_model(folder / "tensorflow", "serving_default")))
    image_model(folder)
    slow, rows, unsupported = Slow(), Rows(), Unsupported()
    save(folder / "slow", converted(slow, slow.run))
    save(folder / "rows", converted(rows, rows.run))
    with_tensorflow = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    save(folder / "unsupported", converted(unsupported, unsupported.run, with_tensorflow))


main(Path(sys.argv[1]))
