"""Measure `tfs optimize`: size, equality, speed and cost on whole networks. `python bench/optimize.py --help`.

The original runs as a server runs it: with TensorFlow's own optimizer (Grappler) at its defaults. Both models answer
the same requests in turn, so that whatever else the machine does meets both.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfs.savedmodel.reading import meta_graph, read_saved_model, read_signatures
from tfs.savedmodel.synthetic import generate
from tfs.transforms import OptimizeReport, optimize
from tfs.transforms.graph_view import GraphView, Roots
from tfs.transforms.pipeline import run_passes
from tfs.transforms.registry import steps_of
from tfs.transforms.running import open_model
from tfs.transforms.tensorflow_runtime import quiet_tensorflow

_APPLICATIONS = ("MobileNetV2", "ResNet50", "EfficientNetB0", "DenseNet121", "InceptionV3")


class Row(NamedTuple):
    """What was measured of one model; times are medians in ms."""

    name: str
    report: OptimizeReport
    left: int
    milliseconds: dict[int, tuple[float, float]]
    peak: float


def main() -> None:
    """Make the models, optimize and measure them, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=[*_APPLICATIONS, "ssd", "encoder", "deepfm"])
    parser.add_argument("--preset", default="serving")
    parser.add_argument("--seconds", type=float, default=6.0, help="per model and batch size")
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[1, 8])
    options = parser.parse_args()
    quiet_tensorflow()
    titles = ["model", "nodes", "MB", "batch norms left", "max rel. error", "passes s", "peak / model"]
    titles += [f"ms at {size} (ratio)" for size in options.batch_sizes]
    print("| " + " | ".join(titles) + " |\n|" + " --- |" * len(titles))
    with tempfile.TemporaryDirectory(prefix="tfs-bench-") as scratch:
        for name in options.models:
            folder = Path(scratch) / name
            folder.mkdir()
            print(_line(_measure(name, folder, options)), flush=True)


def _measure(name: str, folder: Path, options: Any) -> Row:
    original, result = folder / "1", folder / "2"
    _MAKERS.get(name, _application(name))(original)
    start = _reset_peak()
    report = optimize(original, options.preset, output=result)
    stored = max(report.before.bytes, 1)
    peak = (_peak() - start) / stored
    milliseconds = {size: _interleaved(original, result, size, options.seconds) for size in options.batch_sizes}
    return Row(name, report, _batch_norms_left(result), milliseconds, peak)


def _line(row: Row) -> str:
    report = row.report
    frozen = report.passes[1].nodes_after
    error = report.verification.largest_difference if report.verification else float("nan")
    cells = [
        row.name,
        f"{report.before.nodes} / {frozen} frozen -> {report.after.nodes}",
        f"{report.before.bytes / 1e6:.1f} -> {report.after.bytes / 1e6:.1f}",
        str(row.left),
        f"{error:.1e}",
        f"{sum(entry.seconds for entry in report.passes):.1f}",
        f"{row.peak:.1f}",
    ]
    cells += [f"{old:.2f} -> {new:.2f} ({new / old:.2f})" for old, new in row.milliseconds.values()]
    return "| " + " | ".join(cells) + " |"


def _interleaved(original: Path, result: Path, batch_size: int, seconds: float) -> tuple[float, float]:
    """Return the median time of a request in ms, asked in turn of original and result."""
    signature = read_signatures(original)["serving_default"]
    inputs = generate(signature, batch_size, 1)
    times: tuple[list[float], list[float]] = ([], [])
    with open_model(original) as first, open_model(result) as second:
        for model in (first, second) * 2:
            model.answer(signature.name, inputs)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times[0]) < 5:
            for model, taken in zip((first, second), times, strict=True):
                started = time.perf_counter()
                model.answer(signature.name, inputs)
                taken.append(time.perf_counter() - started)
    return float(np.median(times[0])) * 1e3, float(np.median(times[1])) * 1e3


def _batch_norms_left(path: Path) -> int:
    """Count fused batch norms, and the scales that another run of the folding passes would still fold."""
    graph = meta_graph(read_saved_model(path), path).graph_def
    outputs = {
        t.name for s in meta_graph(read_saved_model(path), path).signature_def.values() for t in s.outputs.values()
    }
    view = GraphView.of(graph, Roots(nodes=frozenset(name.split(":")[0] for name in outputs)))
    reports = run_passes(view, steps_of("fold_old_batch_norms fold_batch_norms"))[1]
    return sum(node.op.startswith("FusedBatchNorm") for node in graph.node) + sum(
        count for report in reports for count in report.done.values()
    )


def _reset_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """Return the most memory that this process has used since the last reset, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


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


_MAKERS: dict[str, Callable[[Path], None]] = {"ssd": _ssd, "encoder": _encoder, "deepfm": _deepfm}


if __name__ == "__main__":
    main()
