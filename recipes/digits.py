"""Handwritten digits: the data that ships with scikit-learn, a small CNN with batch normalisation, its signature.

TensorFlow is imported inside the functions: who only wants the images does not wait for it.
"""

from typing import Any

import numpy as np

__all__ = ["build_model", "images_and_labels", "serving"]

SEED = 7
HELD_OUT = 360  # a fifth of the 1,797 images


def images_and_labels() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return ((images, labels) for training, (images, labels) held out).

    Images are float32 [n, 8, 8, 1] in 0..1, labels int64 [n] in 0..9; the split is the same every time.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))
    images = (digits.images[order] / 16.0).astype(np.float32)[..., np.newaxis]
    labels = digits.target[order].astype(np.int64)
    return (images[HELD_OUT:], labels[HELD_OUT:]), (images[:HELD_OUT], labels[:HELD_OUT])


def build_model() -> Any:
    """Return a compiled, untrained Keras model: images [n, 8, 8, 1] -> scores [n, 10]."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(SEED)

    def convolution(filters: int) -> list[Any]:
        return [
            layers.Conv2D(filters, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),  # a few epochs of 45 steps must settle the statistics
            layers.ReLU(),
        ]

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="images"),
            *convolution(16),
            *convolution(32),
            layers.MaxPooling2D(),
            *convolution(64),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def serving(model: Any) -> Any:
    """Return the `serving_default` signature: images -> scores [n, 10] and classes [n]."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, name="images")])
    def serving_default(images: Any) -> dict[str, Any]:
        scores = model(images, training=False)
        return {"scores": scores, "classes": tf.argmax(scores, axis=-1)}

    return serving_default
