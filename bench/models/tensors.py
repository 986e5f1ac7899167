"""A model that does next to nothing with large tensors: only moving them costs."""

from typing import Any

import numpy as np

__all__ = ["rows", "save"]


def save(directory: str) -> None:
    """Write the signatures `echo` (x -> x), `serving_default` (x -> its sum) and `ones` (n -> n ones)."""
    import tensorflow as tf

    floats = tf.TensorSpec(None, tf.float32, name="x")

    class Tensors(tf.Module):
        @tf.function(input_signature=[floats])
        def echo(self, x: Any) -> dict[str, Any]:
            return {"y": tf.identity(x)}

        @tf.function(input_signature=[floats])
        def sum(self, x: Any) -> dict[str, Any]:
            return {"y": tf.reshape(tf.reduce_sum(x), [1])}

        @tf.function(input_signature=[tf.TensorSpec([1], tf.int32, name="n")])
        def ones(self, n: Any) -> dict[str, Any]:
            return {"y": tf.ones(n)}

    module = Tensors()
    signatures = {"serving_default": module.sum, "echo": module.echo, "ones": module.ones}
    tf.saved_model.save(module, directory, signatures=signatures)


def rows(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return x, float32 [count] in 0..1."""
    return {"x": generator.random(count, np.float32)}
