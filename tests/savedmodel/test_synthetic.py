import numpy as np
import pytest

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.reading import Signature, TensorInfo, read_signatures
from tfs.savedmodel.synthetic import generate


def _one(dtype, shape, batch_size=4, seed=0):
    signature = Signature("s", {"x": TensorInfo(dtype, shape, "x:0")}, {}, "")
    return generate(signature, batch_size, seed)["x"]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((None, 28, 28, 1), (4, 28, 28, 1)),
        ((None, None), (4, 8)),
        ((None, None, None, 3), (4, 32, 32, 3)),
        ((2, None), (2, 8)),
        ((), ()),
        (None, (4,)),
    ],
)
def test_unknown_sizes_are_filled_in(shape, expected):
    assert _one("float32", shape).shape == expected


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64"])
def test_floats_are_in_the_unit_interval_and_not_all_zero(dtype):
    values = _one(dtype, (None, 50))
    assert values.dtype.name == dtype
    assert 0 < np.abs(values.real.astype(np.float64)).max() <= 1
    assert values.real.min() >= 0


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "bool"])
def test_integers_and_bools_take_both_values_and_no_other(dtype):
    for seed in range(20):
        values = _one(dtype, (None,), batch_size=2, seed=seed)
        assert values.dtype.name == dtype
        assert sorted(values.tolist()) == [0, 1]
    assert _one(dtype, (None,), batch_size=1).tolist() == [1]


def test_strings_are_bytes_of_several_kinds():
    values = _one("string", (None,), batch_size=50)
    assert all(isinstance(value, bytes) for value in values)
    assert len(set(values.tolist())) > 4
    assert b"the" in values


def test_strings_of_one_row_differ_between_requests():
    rows = [_one("string", (None,), batch_size=1, seed=seed)[0] for seed in range(10)]
    assert len(set(rows)) >= 4
    assert rows[0] == b"the"


def test_the_seed_decides():
    assert _one("float32", (None, 3)).tolist() == _one("float32", (None, 3)).tolist()
    assert _one("float32", (None, 3)).tolist() != _one("float32", (None, 3), seed=1).tolist()


def test_inputs_without_a_plain_tensor_are_refused():
    sparse = Signature("s", {"x": TensorInfo("float32", (None,), "", ("v:0", "i:0", "d:0"))}, {}, "")
    with pytest.raises(TfsError, match="`x` is sparse"):
        generate(sparse, 1, 0)
    with pytest.raises(TfsError, match="type 21"):
        _one("type 21", (None,))


def test_generated_inputs_run_through_the_model(plain_model):
    import tensorflow as tf

    version = plain_model / "3"
    loaded = tf.saved_model.load(str(version))
    for name, signature in read_signatures(version).items():
        inputs = {alias: tf.constant(array) for alias, array in generate(signature, 3, 7).items()}
        outputs = loaded.signatures[name](**inputs)
        assert outputs.keys() == signature.outputs.keys()
        assert all(np.any(output.numpy() != 0) for output in outputs.values())
