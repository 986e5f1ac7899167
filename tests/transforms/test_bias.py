"""What adds the offset of a batch norm behind a matrix product: fused with it by TensorFlow, or not."""

import pytest
from graphs import apply, assert_same_numbers, numbers, ops, tf1, view_of


@pytest.mark.parametrize(("columns", "addition"), [(16, "Sub"), (20_000, "BiasAdd")], ids=["small", "large"])
@pytest.mark.parametrize("norm_first", [False, True], ids=["batch norm behind", "batch norm in front"])
def test_an_offset_is_kept_apart_from_a_small_product(columns: int, addition: str, norm_first: bool) -> None:
    def build() -> None:
        import tensorflow as tf

        x, size = tf1().placeholder(tf.float32, [None, 8], name="x"), 8 if norm_first else columns
        scale, offset = numbers(size, seed=1, low=0.5), numbers(size, seed=2)
        x = x * scale + offset if norm_first else x
        product = tf.matmul(x, numbers(8, columns))
        tf.nn.relu(product if norm_first else product * scale + offset, name="y")

    before = view_of(build)
    after = apply("fold_batch_norms", before)
    assert ops(after) == {"Placeholder": 1, "Const": 2, "MatMul": 1, addition: 1, "Relu": 1}
    assert_same_numbers(before, after, {"x": numbers(3, 8)})
    assert ops(apply("fold_batch_norms", after)) == ops(after)
