"""Requests to the DeepFM of recipes/deepfm.py: rows of a made-up click log."""

import numpy as np
from deepfm import BUCKETS, CATEGORIES, CATEGORY_SIZE, COUNTS, category_offsets

__all__ = ["examples_rows", "ids_rows"]


def ids_rows(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return ids, int64 [count, 39]."""
    buckets = generator.integers(0, 20, [count, COUNTS]) + np.arange(COUNTS) * BUCKETS
    categories = generator.integers(0, CATEGORY_SIZE, [count, CATEGORIES]) + category_offsets()
    return {"ids": np.concatenate([buckets, categories], axis=1)}


def examples_rows(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return serialized examples, string [count]."""
    from tensorflow.core.example.example_pb2 import Example

    def example() -> bytes:
        features = Example()
        for name, number in zip(_names("count", COUNTS), generator.exponential(1000, COUNTS), strict=True):
            features.features.feature[name].float_list.value.append(number)
        values = generator.integers(0, CATEGORY_SIZE, CATEGORIES)
        for name, value in zip(_names("category", CATEGORIES), values, strict=True):
            features.features.feature[name].int64_list.value.append(value)
        return bytes(features.SerializeToString(deterministic=True))

    return {"examples": np.array([example() for _ in range(count)], dtype=object)}


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind}_{i}" for i in range(count)]
