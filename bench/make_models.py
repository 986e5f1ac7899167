"""Make what is measured, in a process of its own: `python bench/make_models.py FOLDER` (TensorFlow stays in here).

Writes models/half_plus_two/1 (a tf.Module as TensorFlow saves it), digits.keras and warmup.jsonl for
recipes/digits.yaml, and cases.npz: for each model one request's inputs and the outputs that TensorFlow's Python gives
for them.
"""

import json
import sys
from pathlib import Path

import numpy as np

from tfs.savedmodel.native_log import hold_back_native_log

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
import digits

WARMUP_RECORDS = 20


def half_plus_two(folder: Path) -> dict[str, np.ndarray]:
    """Write y = 0.5 x + 2 with two variables; return its case."""
    import tensorflow as tf

    class HalfPlusTwo(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope, self.shift = tf.Variable(0.5), tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": self.slope * x + self.shift}

    module = HalfPlusTwo()
    tf.saved_model.save(module, str(folder / "models/half_plus_two/1"), signatures={"serving_default": module.serve})
    return {"half_plus_two/in/x": np.float32([1]), "half_plus_two/out/y": np.float32([2.5])}


def digits_model(folder: Path) -> dict[str, np.ndarray]:
    """Write the digits model, trained for one epoch, and its warm-up records; return its case."""
    (images, labels), (held_out, _) = digits.images_and_labels()
    model = digits.build_model()
    model.fit(images, labels, batch_size=32, verbose=0)
    model.save(folder / "digits.keras")
    lines = [json.dumps({"instances": [{"images": image.tolist()}]}) for image in images[:WARMUP_RECORDS]]
    (folder / "warmup.jsonl").write_text("\n".join(lines) + "\n")
    scores = model.predict(held_out[:1], verbose=0)
    return {"digits/in/images": held_out[:1], "digits/out/scores": scores, "digits/out/classes": scores.argmax(-1)}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    with hold_back_native_log():
        cases = half_plus_two(target) | digits_model(target)
    np.savez(target / "cases.npz", **cases)
