"""Convolutions in groups, which Keras 3 hides in functions for XLA."""

from pathlib import Path

from network_models import save_keras

from tfs.savedmodel.reading import meta_graph, read_saved_model
from tfs.transforms.optimizing import optimize


def test_the_batch_norm_of_a_grouped_convolution_is_folded_into_the_argument(tmp_path: Path) -> None:
    import keras

    k = keras.layers
    grouped = [k.Conv2D(8, 3, groups=2), k.BatchNormalization(), k.ReLU(), k.Conv2D(4, 3, groups=4, use_bias=False)]
    save_keras(keras.Sequential([keras.Input((8, 8, 4)), *grouped, k.BatchNormalization()]), tmp_path / "1")
    report = optimize(tmp_path / "1", output=tmp_path / "2")
    assert report.verification is not None
    assert report.verification.largest_difference < 1e-5
    graph = meta_graph(read_saved_model(tmp_path / "2"), tmp_path / "2").graph_def
    ops = [node.op for node in graph.node]
    # Two convolutions for each of two signatures; an offset behind a call without a bias stays an addition.
    assert ops.count("StatefulPartitionedCall") == 4
    assert ops.count("Mul") == 0
    assert ops.count("BiasAdd") + ops.count("AddV2") == 4
