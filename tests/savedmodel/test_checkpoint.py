import pytest

from tfs.savedmodel.checkpoint import read_index
from tfs.savedmodel.errors import TfsError


@pytest.fixture(scope="module")
def many_tensors(tmp_path_factory):
    """A checkpoint whose index has several blocks, with a tensor in slices, a string and a scalar."""
    import tensorflow as tf

    v1 = tf.compat.v1
    prefix = str(tmp_path_factory.mktemp("checkpoint") / "variables")
    with tf.Graph().as_default(), v1.Session() as session:
        for number in range(300):
            v1.get_variable(f"layers/block_{number:03}/kernel", [number % 7, 2], tf.float16)
        v1.get_variable("sliced", [6, 2], partitioner=v1.fixed_size_partitioner(3), use_resource=False)
        v1.get_variable("words", initializer=tf.constant(["one", "two"]))
        v1.get_variable("step", initializer=tf.constant(3, tf.int64))
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, prefix, write_meta_graph=False)
    return prefix


def test_the_index_names_what_tensorflow_reads(many_tensors, tmp_path):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(many_tensors)
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    with open(f"{many_tensors}.index", "rb") as index:
        (tmp_path / "index").write_bytes(index.read())
    entries = {entry.key: entry for entry in read_index(tmp_path / "index")}
    assert {key: list(entry.shape) for key, entry in entries.items()} == shapes
    assert {key: entry.dtype for key, entry in entries.items()} == {key: dtypes[key].name for key in dtypes}
    sizes = {key: entry.size for key, entry in entries.items()}
    assert (sizes["sliced"], sizes["step"], sizes["layers/block_004/kernel"]) == (48, 8, 16)


def test_a_truncated_or_damaged_index_is_one_line(many_tensors, tmp_path):
    with open(f"{many_tensors}.index", "rb") as index:
        whole = index.read()
    file = tmp_path / "variables.index"
    damaged = [whole[:keep] for keep in (0, 1, 40, 48, len(whole) // 2, len(whole) - 1)]
    step = len(whole) // 40
    damaged += [whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :] for at in range(0, len(whole) - 48, step)]
    for data in damaged:
        file.write_bytes(data)
        with pytest.raises(TfsError, match="truncated or no checkpoint index") as refused:
            read_index(file)
        assert "\n" not in str(refused.value)
    with pytest.raises(TfsError, match="cannot be read"):
        read_index(tmp_path / "none")
