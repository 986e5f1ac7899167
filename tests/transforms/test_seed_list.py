"""A detector as TF 1 trained it, through the list that an article of 2019 gave for the Graph Transform Tool.

There an SSD over MobileNetV2 had 122 MB before and 58 MB afterwards.
"""

from pathlib import Path
from typing import Any

import pytest

from tfs.savedmodel.reading import meta_graph, read_saved_model
from tfs.transforms.optimizing import OptimizeReport, optimize

_TRANSFORMS = """[
    "remove_attribute(attribute_name=_class)",
    "remove_nodes(op=Identity, op=CheckNumerics)",
    "strip_unused_nodes",
    "fold_constants(ignore_errors=true)",
    "fold_batch_norms",
    "fold_old_batch_norms",
    "merge_duplicate_nodes"
]"""
_CLASSES = 11
_ANCHORS = 3


class _Network:
    """Blocks of MobileNetV2 with a batch norm behind each convolution, as TF 1's layers wrote them."""

    def __init__(self) -> None:
        self._count = 0

    def norm(self, x: Any) -> Any:
        import tensorflow as tf

        v1, size = tf.compat.v1, x.shape[-1]
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        positive = v1.random_uniform_initializer(0.5, 1.5)
        values = [v1.get_variable(name, [size], initializer=positive, use_resource=False) for name in names]
        return v1.nn.fused_batch_norm(x, *values, is_training=False)[0]

    def conv(self, x: Any, filters: int, size: int = 1, stride: int = 1) -> Any:
        import tensorflow as tf

        v1 = tf.compat.v1
        self._count += 1
        with v1.variable_scope(f"conv_{self._count}"):
            kernel = v1.get_variable("weights", [size, size, x.shape[-1], filters], use_resource=False)
            v1.summary.histogram("weights", kernel)
            y = tf.nn.relu6(self.norm(tf.nn.conv2d(x, kernel, stride, "SAME")))
            return tf.debugging.check_numerics(tf.identity(y), "activation")

    def block(self, x: Any, filters: int, stride: int = 1) -> Any:
        import tensorflow as tf

        v1 = tf.compat.v1
        wide = self.conv(x, 4 * int(x.shape[-1]))
        self._count += 1
        with v1.variable_scope(f"depthwise_{self._count}"):
            kernel = v1.get_variable("weights", [3, 3, wide.shape[-1], 1], use_resource=False)
            wide = tf.nn.relu6(self.norm(tf.nn.depthwise_conv2d(wide, kernel, [1, stride, stride, 1], "SAME")))
        return self.conv(tf.identity(wide), filters)


def _save(path: Path) -> None:
    """Write the detector with its summaries, checks, loss and the optimizer's variables."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(4)
        image = v1.placeholder(tf.uint8, [1, None, None, 3], name="input_image")
        x = tf.image.convert_image_dtype(tf.squeeze(image, axis=[0]), tf.float32)
        network = _Network()
        x = network.conv(tf.expand_dims(x, 0), 16, 3, 2)
        features = []
        for filters, stride in ((16, 1), (24, 2), (24, 1), (32, 2), (32, 1)):
            x = network.block(x, filters, stride)
            features.append(x)
        boxes, scores = [], []
        for feature in features[2::2]:
            boxes.append(tf.reshape(network.conv(feature, _ANCHORS * 4), [1, -1, 4]))
            scores.append(tf.reshape(network.conv(feature, _ANCHORS * _CLASSES), [1, -1, _CLASSES]))
        found, logits = tf.concat(boxes, 1), tf.concat(scores, 1)
        likely = tf.sigmoid(tf.debugging.check_numerics(logits, "logits"))
        outputs = {
            "detection_boxes": tf.reshape(found, [1, -1, 4]),
            "detection_classes": tf.reshape(tf.argmax(likely, -1), [1, -1]),
            "detection_scores": tf.reshape(tf.reduce_max(likely, -1), [1, -1]),
        }
        loss = tf.reduce_mean(tf.square(found)) + tf.reduce_mean(likely)
        v1.summary.scalar("loss", loss)
        v1.train.AdamOptimizer().minimize(loss)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"inputs": image}, outputs)


@pytest.fixture(scope="module")
def optimized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, OptimizeReport]:
    folder = tmp_path_factory.mktemp("seed")
    _save(folder / "1")
    return folder / "2", optimize(folder / "1", _TRANSFORMS, output=folder / "2")


def test_the_list_runs_and_the_result_is_the_same(optimized: tuple[Path, OptimizeReport]) -> None:
    report = optimized[1]
    assert not [entry.name for entry in report.passes if entry.error]
    assert report.verification is not None
    assert report.verification.largest_difference < 1e-4
    assert not [note for note in report.verification.notes if "weak" in note]


def test_it_is_as_small_as_the_old_tool_made_it(optimized: tuple[Path, OptimizeReport]) -> None:
    report = optimized[1]
    frozen = report.passes[1].nodes_after
    assert report.after.bytes <= 0.48 * report.before.bytes
    assert report.after.nodes <= 0.45 * frozen


def test_no_batch_norm_nor_anything_of_the_training_is_left(optimized: tuple[Path, OptimizeReport]) -> None:
    graph = meta_graph(read_saved_model(optimized[0]), optimized[0]).graph_def
    ops = [node.op for node in graph.node]
    left = {"FusedBatchNormV3", "Mul", "CheckNumerics", "HistogramSummary", "VariableV2", "Assign", "ApplyAdam"}
    assert not left.intersection(ops)
    assert ops.count("DepthwiseConv2dNative") == 5
    assert not any("_class" in node.attr for node in graph.node)
