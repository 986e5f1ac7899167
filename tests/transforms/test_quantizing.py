"""8-bit storage, rounded weights, 8-bit arithmetic, and ranges from a log."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import apply, assert_same_numbers, numbers, ops, reasons, result_of, run, tf1, view_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.transforms.graph_view import GraphView
from tfs.transforms.passes import bfloat16
from tfs.transforms.passes.float16_weights import Float16Weights
from tfs.transforms.passes.quantize_nodes import QuantizeNodes
from tfs.transforms.passes.quantize_weights import QuantizeWeights
from tfs.transforms.quantization import quantized

_X = {"x": numbers(3, 32, seed=1)}


def _dense(weights: np.ndarray | None = None) -> GraphView:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 32], name="x")
        w = tf.constant(numbers(32, 64) if weights is None else weights, name="w")
        hidden = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, w), numbers(64, seed=2)))
        tf.identity(tf.matmul(hidden, numbers(64, 8, seed=3)), name="y")

    return view_of(build)


def test_large_weights_take_a_quarter_of_the_bytes() -> None:
    before = _dense()
    after = apply("quantize_weights", before)
    assert after.nodes["w"].op == "Dequantize"
    assert ops(after)["Dequantize"] == 1  # 512 elements of the second one are fewer than 1024
    assert before.byte_size - after.byte_size > 32 * 64 * 3 - 1000
    assert_same_numbers(before, after, _X, rtol=0.02)
    assert ops(apply("quantize_weights(minimum_size=64)", before))["Dequantize"] == 3


def test_float16_takes_half_of_the_bytes_and_keeps_three_digits() -> None:
    before = _dense()
    after = apply("float16_weights", before)
    assert after.nodes["w"].op == "Cast"
    assert ops(after)["Cast"] == 1
    assert before.byte_size - after.byte_size > 32 * 64 * 2 - 500
    assert_same_numbers(before, after, _X, rtol=1e-3)
    large = numbers(32, 64) * 1e5
    assert "w: it holds values that float16 does not have" in reasons(result_of(Float16Weights(), _dense(large)))


def test_bfloat16_is_computed_where_the_cpu_has_it() -> None:
    before = _dense()
    try:
        after = apply("bfloat16 fold_constants", before)
    except TfsError as error:
        pytest.skip(str(error))
    assert {after.nodes[name].attr["T"].type for name in after.nodes if after.nodes[name].op == "MatMul"} == {14}
    assert before.byte_size - after.byte_size > 32 * 64 * 2 - 500
    assert_same_numbers(before, after, _X, rtol=0.02)


def test_bfloat16_is_refused_where_it_would_be_emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx2 avx512f\n")
    monkeypatch.setattr(bfloat16, "_CPU_INFO", tmp_path / "cpuinfo")
    with pytest.raises(TfsError, match=r"this CPU has no instructions for bfloat16 .*`bfloat16\(ignore_errors=true\)`"):
        apply("bfloat16", _dense())
    assert ops(apply("bfloat16(ignore_errors=true)", _dense())) == ops(_dense())


def test_weights_that_are_not_finite_stay() -> None:
    weights = numbers(32, 64)
    weights[3, 4] = np.inf
    result = result_of(QuantizeWeights(), _dense(weights))
    assert "w: it holds values that are not finite" in reasons(result)


@example(np.array([1e-45], np.float32))
@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e4, 1e4, width=32)))
def test_codes_stand_for_the_values_within_half_a_step_and_zero_is_exact(values: np.ndarray) -> None:
    codes, low, high = quantized(values)
    step = (high - low) / 255
    decoded = np.round(low / step) * step + codes * step
    assert low <= 0 <= high
    np.testing.assert_allclose(decoded, values, rtol=0, atol=step * 1.01 + 1e-30)
    assert not decoded[values == 0].any()


def test_rounded_weights_have_as_many_values_as_steps() -> None:
    before = _dense()
    after = apply("round_weights(num_steps=16)", before)
    values = after.constant(next(t for t in map(type(next(iter(after.roots.fed))).parse, ["w"])))
    assert values is not None
    assert len(np.unique(values)) == 16
    assert_same_numbers(before, after, _X, rtol=0.2)


def test_rounding_leaves_negative_and_constant_weights_in_their_range() -> None:
    from tfs.transforms.graph_view import Tensor

    negative = apply("round_weights(num_steps=8)", _dense(numbers(32, 64) - 5)).constant(Tensor("w", 0))
    assert negative is not None
    assert negative.max() <= -4
    equal = apply("round_weights", _dense(np.full((32, 64), 7, np.float32))).constant(Tensor("w", 0))
    assert equal is not None
    assert (equal == 7).all()
    with pytest.raises(UsageError, match="`num_steps` must be 1 or more, not `0`"):
        apply("round_weights(num_steps=0)", _dense())


def test_dense_layers_are_computed_in_8_bits() -> None:
    before = _dense()
    after = apply("quantize_nodes", before)
    assert (ops(after)["QuantizedMatMul"], ops(after)["QuantizedBiasAdd"], ops(after)["QuantizedRelu"]) == (2, 1, 1)
    assert ops(after)["QuantizeV2"] == 1  # codes go from node to node; only the input is quantized
    assert ops(after)["Dequantize"] == 1
    assert not ops(after)["MatMul"]
    assert_same_numbers(before, after, _X, rtol=0.08)


def test_image_ops_are_computed_in_8_bits() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 8, 8, 2], name="x")
        conv = tf.nn.relu6(tf.nn.conv2d(x, numbers(3, 3, 2, 4), 1, "SAME") * 2.0)
        pools = [pool(conv, 2, 2, "VALID") for pool in (tf.nn.max_pool2d, tf.nn.avg_pool2d)]
        pooled = tf.raw_ops.Concat(concat_dim=3, values=pools)
        tf.reshape(tf1().image.resize_bilinear(pooled, [2, 2]), [-1, 32], name="y")

    before = view_of(build)
    after = apply("quantize_nodes(ignore_op=Mul)", before)
    kinds = {"Conv2D", "Relu6", "MaxPool", "AvgPool", "Concat", "ResizeBilinear", "Reshape"}
    assert {f"Quantized{op}" for op in kinds} <= ops(after).keys()
    assert ops(after)["Mul"] == 1
    assert_same_numbers(before, after, {"x": numbers(2, 8, 8, 2)}, rtol=0.08)


def test_an_op_without_a_kernel_is_named_and_left_alone() -> None:
    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [1, 4, 4, 2], name="x")
        tf.nn.conv2d_transpose(x, numbers(3, 3, 2, 2), [1, 8, 8, 2], strides=2, name="y")

    view = view_of(build)
    result = result_of(QuantizeNodes(), view)
    assert reasons(result) == "y: this TensorFlow has no kernel for QuantizedConv2DTranspose"
    assert result.view is view


def _trained(constant: bool = True, **options: Any) -> GraphView:
    """Two layers as training for 8 bits leaves them: a FakeQuant behind the activation, another one at the input."""

    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 32], name="x")
        x = tf.quantization.fake_quant_with_min_max_args(x, -1, 1, name="input_range")
        hidden = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, numbers(32, 64)), numbers(64, seed=2)))
        hidden = tf.reshape(hidden, [-1, 64])
        high = 8.0 if constant else tf1().placeholder_with_default(8.0, [], name="high")
        hidden = tf.quantization.fake_quant_with_min_max_vars(hidden, -1.0, high, name="range", **options)
        tf.identity(tf.matmul(hidden, numbers(64, 8, seed=3)), name="y")

    return view_of(build)


def test_trained_ranges_take_the_place_of_measured_ones() -> None:
    before = _trained()
    after = apply("quantize_nodes", before)
    assert not {op for op in ops(after) if op.startswith("FakeQuant")}
    # The first MatMul, whose result the training has not seen, and the last one are measured; the others are not.
    assert ops(after)["RequantizationRange"] == 2
    assert ops(after)["QuantizeV2"] == 1
    assert not ops(after).keys() & {"Min", "Max"}
    assert ops(after)["Dequantize"] == 1
    assert_same_numbers(before, after, _X, rtol=0.05)


@pytest.mark.parametrize("ignored", ["BiasAdd", "Relu", "Reshape", "MatMul"])
def test_a_trained_range_cuts_off_whatever_is_quantized_in_front_of_it(ignored: str) -> None:
    """The layer's values reach beyond the range."""

    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 32], name="x")
        hidden = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, numbers(32, 64)), numbers(64, seed=2)))
        hidden = tf.reshape(hidden, [-1, 32, 2])
        tf.quantization.fake_quant_with_min_max_args(hidden, 0, 0.5, name="y")

    before = view_of(build)
    after = apply(f"quantize_nodes(ignore_op={ignored})", before)
    [y] = run(after, _X).values()
    assert y.max() == pytest.approx(0.5)
    assert_same_numbers(before, after, _X, rtol=0.2)


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (lambda: _trained(num_bits=4), "range: it has fewer or more codes than the 256"),
        (lambda: _trained(narrow_range=True), "range: it has fewer or more codes than the 256"),
        (lambda: _trained(constant=False), "range: its range is no constant"),
    ],
)
def test_a_fake_quant_that_no_kernel_can_stand_for_stays(view: Any, reason: str) -> None:
    result = result_of(QuantizeNodes(), view())
    assert reason in reasons(result)
    assert ops(result.view)["FakeQuantWithMinMaxVars"] == 1
    assert_same_numbers(view(), result.view, _X, rtol=0.1)


def test_a_trained_range_is_met_exactly() -> None:
    """The numbers behind the codes are those that FakeQuant gives: its range is moved until 0 is one of them."""

    def build() -> None:
        import tensorflow as tf

        x = tf1().placeholder(tf.float32, [None, 32], name="x")
        tf.quantization.fake_quant_with_min_max_args(x, -0.37, 0.91, name="y")

    before = view_of(build)
    after = apply("quantize_nodes", before)
    assert ops(after)["QuantizeV2"] == 1
    assert_same_numbers(before, after, _X, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("quantize_nodes(fallback_min=0)", UsageError, "give both `fallback_min` and `fallback_max`, or neither"),
        ("quantize_nodes(input_min=0, input_max=1)", TfsError, "would make the signatures' inputs quint8"),
    ],
)
def test_arguments_that_cannot_be_met_are_one_line(text: str, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        apply(text, _dense())


def test_measured_ranges_become_constants(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    quantized_view = apply("quantize_nodes", _dense())
    logging = 'insert_logging(op=RequantizationRange, show_name=true, message="__requant_min_max:")'
    run(apply(logging, quantized_view), _X)
    log = tmp_path / "ranges.log"
    log.write_text(f"something else\n{capfd.readouterr().err}")
    after = apply(f'freeze_requantization_ranges(min_max_log_file="{log}")', quantized_view)
    assert not ops(after)["RequantizationRange"]
    assert_same_numbers(quantized_view, after, _X, rtol=0.03)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("nothing", "has no line"),
        (
            ";w__print__;__requant_min_max:[0][1]",
            "names `w`, which is no RequantizationRange here: Const",
        ),
        (";v__print__;__requant_min_max:[0][1]", "here: missing"),
        (";w__print__;__requant_min_max:[zero][1]", "a range that is no number"),
    ],
)
def test_a_log_without_use_is_one_line(tmp_path: Path, text: str | None, words: str) -> None:
    log = tmp_path / "ranges.log"
    if text is not None:
        log.write_text(text)
    with pytest.raises(TfsError, match=words):
        apply(f'freeze_requantization_ranges(min_max_log_file="{log}")', _dense())


def test_fallback_ranges_need_no_measurement() -> None:
    after = apply("quantize_nodes(fallback_min=-20, fallback_max=20)", _dense())
    assert not ops(after)["RequantizationRange"]
    assert_same_numbers(_dense(), after, _X, rtol=0.3)
