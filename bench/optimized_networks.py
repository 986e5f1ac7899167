"""The networks that `bench/optimize.py` measures, each written as a SavedModel to the directory given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["NETWORKS"]

_APPLICATIONS = ("MobileNetV2", "ResNet50", "EfficientNetB0", "DenseNet121", "InceptionV3")


def _randomised(model: Any) -> Any:
    """Give batch norms statistics that are not the initial ones."""
    import keras

    for seed, layer in enumerate(model._flatten_layers()):
        if isinstance(layer, keras.layers.BatchNormalization):
            random = np.random.default_rng(seed)
            layer.set_weights([random.uniform(0.7, 1.3, weight.shape) for weight in layer.get_weights()])
    return model


def _application(name: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        import keras

        keras.utils.set_random_seed(1)
        _randomised(getattr(keras.applications, name)(weights=None)).export(str(path), verbose=False)

    return make


def _ssd(path: Path) -> None:
    """Save a detector over MobileNetV2 with its loss, optimizer state, checks, dropout and an Identity everywhere."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(2)
    backbone = _randomised(keras.applications.MobileNetV2((224, 224, 3), include_top=False, weights=None))
    names = ("block_13_expand_relu", "out_relu")
    features = [backbone.get_layer(name).output for name in names]
    boxes, scores = [], []
    for feature in features:
        hidden = keras.layers.Dropout(0.2)(
            keras.layers.ReLU(6)(
                keras.layers.BatchNormalization()(
                    keras.layers.SeparableConv2D(256, 3, padding="same", use_bias=False)(feature)
                )
            )
        )
        boxes.append(keras.layers.Reshape((-1, 4))(keras.layers.Conv2D(6 * 4, 1)(hidden)))
        scores.append(keras.layers.Reshape((-1, 91))(keras.layers.Conv2D(6 * 91, 1)(hidden)))
    concatenate = keras.layers.Concatenate(axis=1)
    network = _randomised(keras.Model(backbone.input, [concatenate(boxes), keras.layers.Concatenate(axis=1)(scores)]))

    class Detector(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.variables_of_network = [variable.value for variable in network.variables]
            self.slots = [tf.Variable(tf.ones_like(v)) for v in self.variables_of_network for _ in range(2)]

        def _predict(self, images: Any) -> tuple[Any, Any]:
            x = tf.debugging.check_numerics(tf.identity(images) / 127.5 - 1.0, "images")
            found, classes = network(x, training=False)
            return tf.identity(tf.debugging.check_numerics(found, "boxes")), tf.identity(tf.sigmoid(classes))

        @tf.function(input_signature=[tf.TensorSpec([None, 224, 224, 3], tf.float32, name="images")])
        def __call__(self, images: Any) -> Any:
            found, classes = self._predict(images)
            tf.identity(tf.reduce_mean(found), name="summary")
            best = tf.math.top_k(tf.reduce_max(classes, -1), 100)
            return {
                "detection_boxes": tf.gather(found, best.indices, batch_dims=1),
                "detection_scores": best.values,
                "detection_classes": tf.gather(tf.argmax(classes, -1), best.indices, batch_dims=1),
            }

        @tf.function(
            input_signature=[tf.TensorSpec([None, 224, 224, 3], tf.float32), tf.TensorSpec([None], tf.float32)]
        )
        def loss(self, images: Any, targets: Any) -> Any:
            found, classes = self._predict(images)
            return tf.reduce_mean(tf.square(tf.reduce_mean(found, [1, 2]) - targets)) + tf.reduce_mean(classes)

    detector = Detector()
    tf.saved_model.save(detector, str(path), signatures=detector.__call__.get_concrete_function())


def _encoder(path: Path) -> None:
    """Save an LSTM with attention over a sentence."""
    import keras

    keras.utils.set_random_seed(3)
    k = keras.layers
    ids = keras.Input((32,), dtype="int32", name="ids")
    states = k.LSTM(256, return_sequences=True)(k.Embedding(5000, 128)(ids))
    attended = k.MultiHeadAttention(4, 64)(states, states)
    pooled = k.GlobalAveragePooling1D()(k.LayerNormalization()(k.Add()([states, attended])))
    keras.Model(ids, k.Dense(64)(k.BatchNormalization()(k.Dense(128)(pooled)))).export(str(path), verbose=False)


def _deepfm(path: Path) -> None:
    """Save a factorization machine with a deep part over 26 categorical fields."""
    import keras

    keras.utils.set_random_seed(4)
    k = keras.layers
    ids = keras.Input((26,), dtype="int32", name="ids")
    vectors = k.Embedding(20000, 16)(ids)
    total = keras.ops.square(keras.ops.sum(vectors, 1)) - keras.ops.sum(keras.ops.square(vectors), 1)
    deep = k.Flatten()(vectors)
    for _ in range(3):
        deep = k.ReLU()(k.BatchNormalization()(k.Dense(256, use_bias=False)(deep)))
    linear = keras.ops.sum(k.Embedding(20000, 1)(ids), 1)
    score = linear + k.Dense(1)(deep) + 0.5 * keras.ops.sum(total, 1, keepdims=True)
    _randomised(keras.Model(ids, keras.ops.sigmoid(score))).export(str(path), verbose=False)


def _constants(path: Path) -> None:
    """Save a frozen graph of TF 1: 118 MB of constants, 32 convolutions with batch norms and checks."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    v1, channels = tf.compat.v1, 320
    with tf.Graph().as_default(), v1.Session() as session:
        images = v1.placeholder(tf.float32, [None, 8, 8, channels], name="images")
        y = images
        for _ in range(32):
            kernel = tf.constant(random.normal(0, 0.02, (3, 3, channels, channels)).astype(np.float32))
            y = tf.nn.conv2d(y, tf.identity(kernel), 1, "SAME")
            statistics = (tf.constant(random.uniform(0.5, 1.5, channels).astype(np.float32)) for _ in range(4))
            y = tf.debugging.check_numerics(
                tf.nn.relu(v1.nn.fused_batch_norm(y, *statistics, is_training=False)[0]), "y"
            )
        v1.saved_model.simple_save(session, str(path), {"images": images}, {"y": tf.reduce_mean(y, [1, 2])})


NETWORKS: dict[str, Callable[[Path], None]] = {
    **{name: _application(name) for name in _APPLICATIONS},
    "ssd": _ssd,
    "encoder": _encoder,
    "deepfm": _deepfm,
    "constants": _constants,
}
