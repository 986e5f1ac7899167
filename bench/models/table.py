"""A model of 100 MB, nearly all of it one embedding table: what a version costs in memory is its table."""

from typing import Any

import numpy as np

__all__ = ["model", "rows"]

SEED = 20261120
ENTRIES, WIDTH = 100_000, 256  # 102.4 MB of float32


def model() -> Any:
    """Return the network: ids, int32 [n, 4] -> vector, float32 [n, 256]."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(SEED)
    ids = keras.Input((4,), dtype="int32", name="ids")
    vector = layers.GlobalAveragePooling1D(name="vector")(layers.Embedding(ENTRIES, WIDTH)(ids))
    return keras.Model(ids, vector)


def rows(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return ids, int32 [count, 4]."""
    return {"ids": generator.integers(0, ENTRIES, [count, 4]).astype(np.int32)}
