"""Run in a process of its own: write the SavedModels of these tests, and decode TensorProtos with TensorFlow itself.

Usage: make_models.py FOLDER CASES ANSWERS

FOLDER gets the SavedModels `kinds` and, where tensorflow-text is installed, `text`. CASES is a pickled list of
(DataType number, serialized TensorProto); ANSWERS becomes a pickled list with the TensorProto that `Tensor::FromProto`
makes of each, all elements in `tensor_content`, or None where TensorFlow refuses it.
"""

import importlib.util
import pickle
import sys
from pathlib import Path

import tensorflow as tf

FOLDER, CASES, ANSWERS = map(Path, sys.argv[1:])

# Every DataType whose tensors can be sent; those that this TensorFlow does not know are left out.
NUMBERS = [*range(1, 20), 22, 23, *range(24, 34)]


# Two values each, in every field that a TensorProto has for them.
DEFAULTS = [
    {"dtype": 1, "float_val": [0.1, float("nan")]},
    {"dtype": 2, "double_val": [1e300, float("-inf")]},
    {"dtype": 3, "tensor_content": b"\x01\x00\x00\x00\x02\x00\x00\x00"},
    {"dtype": 4, "int_val": [7, 255]},
    {"dtype": 7, "string_val": [b"\xff\x00", b"text"]},
    {"dtype": 8, "scomplex_val": [1.0, -2.5, 0.0, 3.0]},
    {"dtype": 9, "int64_val": [2**62, -1]},
    {"dtype": 10, "bool_val": [True, False]},
    {"dtype": 18, "dcomplex_val": [1.0, 0.1, 0.0, 3.0]},
    {"dtype": 19, "half_val": [15360, 0]},
    {"dtype": 22, "uint32_val": [2**32 - 1, 0]},
    {"dtype": 23, "uint64_val": [2**64 - 1, 0]},
]


def dtypes():
    for number in NUMBERS:
        try:
            yield tf.dtypes.as_dtype(number)
        except TypeError:
            continue  # younger than this TensorFlow


def function(body, **specs):
    return tf.function(
        body, input_signature=[tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in specs.items()]
    )


def many():
    """One signature per question: its name says what it is for."""
    signatures = {
        # A number and a shape that no other test needs, as a plain model has them.
        "serving_default": function(lambda x: {"y": 0.5 * x + 2.0}, x=([None], tf.float32)),
        "pair": function(
            lambda a, b: {"total": a + tf.cast(b, tf.float32), "scaled": 2.0 * a, "b": b},
            a=(None, tf.float32),
            b=(None, tf.int32),
        ),
        "texts": function(
            lambda s: {"s_bytes": s, "length": tf.strings.length(s)},
            s=(None, tf.string),
        ),
        "one_bytes": function(lambda s: {"s_bytes": tf.identity(s)}, s=(None, tf.string)),
        "total": function(lambda x: {"y": tf.reduce_sum(x)}, x=(None, tf.float32)),
        "uneven": function(lambda x: {"first": x[:1], "whole": x}, x=([None], tf.float32)),
        "no_rows": function(lambda x: {"y": x[:0]}, x=([None], tf.float32)),
        "product": function(lambda x: {"y": tf.matmul(x, [[1.0], [2.0]])}, x=(None, tf.float32)),
        "no_inputs": tf.function(lambda: {"y": tf.constant([7.0])}, input_signature=[]),
        # `defaults` are put into the file below: tf.saved_model.save writes none for a plain signature.
        "defaulted": function(lambda a, b: {"y": a + b}, a=(None, tf.float32), b=(None, tf.float32)),
    }
    for dtype in (tf.half, tf.bfloat16, tf.uint16, tf.complex64):
        signatures[f"to_{dtype.name}"] = function(lambda x, dtype=dtype: {"y": tf.cast(x, dtype)}, x=(None, tf.float32))
    for dtype in dtypes():
        signatures[f"echo_{dtype.as_datatype_enum}"] = function(lambda x: {"y": tf.identity(x)}, x=(None, dtype))
    return signatures


def save(name, signatures):
    module = tf.Module()
    module.functions = list(signatures.values())
    tf.saved_model.save(module, str(FOLDER / name), signatures=signatures)


def add_defaults():
    from tensorflow.core.framework import tensor_pb2
    from tensorflow.core.protobuf import saved_model_pb2

    file = FOLDER / "kinds" / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    definition = saved_model.meta_graphs[0].signature_def["defaulted"]
    definition.defaults["b"].CopyFrom(tf.make_tensor_proto(10.0, tf.float32, []))
    for fields in DEFAULTS:
        definition = saved_model.meta_graphs[0].signature_def[f"default_{fields['dtype']}"]
        definition.CopyFrom(saved_model.meta_graphs[0].signature_def[f"echo_{fields['dtype']}"])
        definition.defaults["x"].CopyFrom(tensor_pb2.TensorProto(**fields))
        definition.defaults["x"].tensor_shape.dim.add(size=2)
    file.write_bytes(saved_model.SerializeToString())


def decode(number, message):
    from tensorflow.core.framework import tensor_pb2

    try:
        decoded = tf.io.parse_tensor(message, tf.dtypes.as_dtype(number))
    except tf.errors.OpError:
        return None
    if decoded.dtype == tf.string:
        return tf.io.serialize_tensor(decoded).numpy()
    # SerializeTensor has no kernel for the narrow and quantized types; numpy has no rank beyond 64.
    answer = tensor_pb2.TensorProto(dtype=number, tensor_content=tf.reshape(decoded, [-1]).numpy().tobytes())
    answer.tensor_shape.CopyFrom(decoded.shape.as_proto())
    return answer.SerializeToString()


def main():
    save("kinds", many())
    add_defaults()
    if importlib.util.find_spec("tensorflow_text"):
        import tensorflow_text

        tokens = function(
            lambda s: {"tokens": tensorflow_text.WhitespaceTokenizer().tokenize(s).to_tensor()}, s=([None], tf.string)
        )
        save("text", {"serving_default": tokens})
    answers = [decode(number, message) for number, message in pickle.loads(CASES.read_bytes())]
    ANSWERS.write_bytes(pickle.dumps(answers))


if __name__ == "__main__":
    main()
