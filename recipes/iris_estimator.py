"""Iris, the four measures and three species that ship with scikit-learn, and a canned Estimator that learns them.

Estimators are gone from TensorFlow 2.16 on: this needs 2.15 (`make test-estimator` sets it up in .venv-estimator).
"""

from typing import Any

import numpy as np

__all__ = ["FEATURES", "columns", "estimator", "flowers", "trained"]

FEATURES = ("SepalLength", "SepalWidth", "PetalLength", "PetalWidth")
SPECIES = ["setosa", "versicolor", "virginica"]
MODEL_DIR = ".demo/iris_estimator"
SEED = 7
STEPS = 300


def flowers() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the measures of 150 flowers in cm, float32 [150] by feature, and their species, bytes [150]."""
    from sklearn.datasets import load_iris

    iris = load_iris()
    measures = iris.data.astype(np.float32)
    species = np.array([SPECIES[label].encode() for label in iris.target], dtype=object)
    return {name: measures[:, index] for index, name in enumerate(FEATURES)}, species


def columns() -> list[Any]:
    """Return the feature columns, one for each measure."""
    import tensorflow as tf

    return [tf.feature_column.numeric_column(name) for name in FEATURES]


def estimator() -> Any:
    """Return the Estimator as MODEL_DIR has it, trained or not."""
    import tensorflow as tf

    return tf.estimator.DNNClassifier(
        hidden_units=[10, 10],
        feature_columns=columns(),
        n_classes=len(SPECIES),
        optimizer=lambda: tf.keras.optimizers.legacy.Adam(0.03),
        label_vocabulary=SPECIES,
        model_dir=MODEL_DIR,
        config=tf.estimator.RunConfig(tf_random_seed=SEED),
    )


def trained() -> Any:
    """Return the Estimator after STEPS steps of training, those that MODEL_DIR has among them."""
    import tensorflow as tf

    def batches() -> Any:
        return tf.data.Dataset.from_tensor_slices(flowers()).shuffle(150, seed=SEED).repeat().batch(32)

    return estimator().train(batches, max_steps=STEPS)
