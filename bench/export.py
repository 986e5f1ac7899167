"""Measure `tfs export` beside TensorFlow's own save and a call of what it wrote. `python bench/export.py --help`.

Both write the same model in turn, so that whatever else the machine does meets both. The reference does the least that
somebody would do by hand: `tf.saved_model.save`, `tf.saved_model.load` and one call of the signature.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from machine import about

from tfs.exporters.exporting import export
from tfs.exporters.options import ExportOptions
from tfs.exporters.tensorflow_runtime import import_keras


@lru_cache
def encoder() -> Any:
    """Return an encoder of tokens: two LSTMs and attention, about a million parameters."""
    import keras
    from keras import layers

    tokens = keras.Input((32,), name="tokens", dtype="int32")
    x = layers.Embedding(5000, 128)(tokens)
    x = layers.LSTM(128, return_sequences=True)(x)
    x = layers.MultiHeadAttention(4, 32)(x, x)
    return keras.Model(tokens, layers.Dense(64, name="vector")(layers.LSTM(128)(x)))


@lru_cache
def images() -> Any:
    """Return MobileNetV2 without trained weights."""
    import keras

    return keras.applications.MobileNetV2(weights=None)


def by_hand(model: Any, folder: Path) -> None:
    """Save, load and call once."""
    import tensorflow as tf

    tf.saved_model.save(model, str(folder))
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    signature(**{name: tf.zeros([2, *spec.shape[1:]], spec.dtype) for name, spec in specs.items()})


def seconds(write: Callable[[Path], Any]) -> float:
    """Time one write into a folder that does not exist yet."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write(Path(folder) / "1")
        return time.perf_counter() - started


def main() -> None:
    """Print a row for each model: median seconds by hand, of an export, and their ratio."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=3)
    rounds = arguments.parse_args().rounds
    import_keras()
    for name, value in about("python bench/export.py").items():
        print(f"{name}: {value}")
    print(f"{'model':10} {'by hand, s':>10} {'export, s':>10} {'ratio':>6}")
    for make in (encoder, images):
        make()
        # The module runs as __main__; as a source it is found under this file's name, and its models are made once.
        options = ExportOptions(source=f"{Path(__file__)}:{make.__name__}")
        timed: list[list[float]] = [[], []]
        for _ in range(rounds + 1):
            timed[0].append(seconds(lambda folder: by_hand(make(), folder)))  # noqa: B023 - called at once
            timed[1].append(seconds(lambda folder: export(options, folder)))  # noqa: B023
        hand, exported = (statistics.median(times[1:]) for times in timed)  # the first round warms up
        print(f"{make.__name__:10} {hand:10.2f} {exported:10.2f} {np.round(exported / hand, 2):6}")


if __name__ == "__main__":
    main()
