"""The trivial model: y = 0.5 x + 2, with two variables. What it costs is what the server costs."""

from typing import Any

import numpy as np

__all__ = ["rows", "save"]


def save(directory: str) -> None:
    """Write it as `tf.saved_model.save` writes any module."""
    import tensorflow as tf

    class HalfPlusTwo(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope, self.shift = tf.Variable(0.5), tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def serve(self, x: Any) -> dict[str, Any]:
            return {"y": self.slope * x + self.shift}

    module = HalfPlusTwo()
    tf.saved_model.save(module, directory, signatures={"serving_default": module.serve})


def rows(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return x, float32 [count]."""
    return {"x": generator.integers(-50, 50, count).astype(np.float32)}
