"""Softmax regression on handwritten digits in the style of TF 1: placeholders, a session, gradient descent by hand.

The data ships with scikit-learn; it stands for MNIST's, which would have to be downloaded.
"""

from typing import Any

import numpy as np

__all__ = ["images_and_labels", "trained"]

SEED = 7
HELD_OUT = 360  # a fifth of the 1,797 images
STEPS = 300
BATCH = 50


def images_and_labels() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return ((images, labels) for training, (images, labels) held out).

    Images are float32 [n, 8, 8, 1] in 0..1, labels float32 [n, 10] with a one at the digit.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))
    images = (digits.images[order] / 16.0).astype(np.float32)[..., np.newaxis]
    labels = np.eye(10, dtype=np.float32)[digits.target[order]]
    return (images[HELD_OUT:], labels[HELD_OUT:]), (images[:HELD_OUT], labels[:HELD_OUT])


def trained() -> Any:
    """Return the session after the training; its graph has the tensors `images` and `scores`."""
    import tensorflow.compat.v1 as tf

    random = np.random.default_rng(SEED)
    (train_images, train_labels), _ = images_and_labels()
    with tf.Graph().as_default() as graph:
        images = tf.placeholder("float", shape=[None, 8, 8, 1], name="images")
        x = tf.reshape(images, [-1, 64])
        y_ = tf.placeholder("float", shape=[None, 10])
        w = tf.Variable(tf.zeros([64, 10]), name="w")
        b = tf.Variable(tf.zeros([10]), name="b")
        logits = tf.matmul(x, w) + b
        tf.nn.softmax(logits, name="scores")
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=logits))
        train_step = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
        session = tf.Session(graph=graph)
        session.run(tf.global_variables_initializer())
        for _ in range(STEPS):
            batch = random.integers(len(train_images), size=BATCH)
            session.run(train_step, {images: train_images[batch], y_: train_labels[batch]})
    return session
