"""Models of images with random weights from a fixed seed: a small one for 28 x 28, and two of `keras.applications`."""

from typing import Any

import numpy as np

__all__ = ["fashion", "fashion_rows", "large_rows", "mobilenet_v2", "resnet50"]

SEED = 20261120


def fashion() -> Any:
    """Return the usual small convolutional net for 28 x 28 pixels: image [n, 28, 28, 1] -> scores [n, 10]."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(SEED)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax", name="scores"),
        ]
    )


def mobilenet_v2() -> Any:
    """Return MobileNetV2: [n, 224, 224, 3] -> [n, 1000]."""
    return _application("MobileNetV2")


def resnet50() -> Any:
    """Return ResNet50: [n, 224, 224, 3] -> [n, 1000]."""
    return _application("ResNet50")


def fashion_rows(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return images of 256 greys as floats in 0..1, [count, 28, 28, 1]; half of the pixels are background."""
    greys = generator.integers(0, 256, [count, 28, 28, 1]) * generator.integers(0, 2, [count, 28, 28, 1])
    return {"image": (greys / 255).astype(np.float32)}


def large_rows(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return images, float32 [count, 224, 224, 3] in -1..1."""
    return {"image": generator.uniform(-1, 1, [count, 224, 224, 3]).astype(np.float32)}


def _application(name: str) -> Any:
    import keras

    keras.utils.set_random_seed(SEED)
    image = keras.Input((224, 224, 3), name="image")
    return getattr(keras.applications, name)(weights=None, input_tensor=image)
