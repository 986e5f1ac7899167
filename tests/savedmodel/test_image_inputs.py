import numpy as np
import pytest
from PIL import Image

from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.image_inputs import PixelRange, inputs_from_images
from tfs.savedmodel.reading import Signature, TensorInfo


def _signature(dtype, *shape):
    return Signature("s", {"x": TensorInfo(dtype, shape, "x:0")}, {}, "")


@pytest.fixture
def files(tmp_path):
    """Two images of 4 x 6 pixels: white, and red with a black first row."""
    second = np.zeros((4, 6, 3), np.uint8)
    second[1:, :, 0] = 255
    Image.fromarray(np.full((4, 6, 3), 255, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(second).save(tmp_path / "b.bmp")
    return [tmp_path / "a.png", tmp_path / "b.bmp"]


def test_pixels_keep_their_size_where_the_signature_leaves_it_open(files):
    x = inputs_from_images(files, _signature("float32", None, None, None, 3), PixelRange())["x"]
    assert (x.shape, x.dtype) == ((2, 4, 6, 3), np.float32)
    assert x[0].min() == 1.0
    np.testing.assert_array_equal(x[1, 1], [[1, 0, 0]] * 6)


def test_pixels_take_the_size_channels_and_range_that_are_wanted(files):
    x = inputs_from_images(files, _signature("float32", None, 2, 3, 1), PixelRange(-1, 1))["x"]
    assert x.shape == (2, 2, 3, 1)
    assert x[0].min() == 1.0
    assert -1 < x[1].max() < 0  # red is a dark grey
    integers = inputs_from_images(files, _signature("uint8", None, 4, 6, 3), PixelRange(-1, 1))["x"]
    assert (integers.dtype, integers[1, 1, 0].tolist()) == (np.uint8, [255, 0, 0])


def test_a_model_that_decodes_gets_the_bytes(files):
    x = inputs_from_images(files, _signature("string", None), PixelRange())["x"]
    assert x.tolist() == [file.read_bytes() for file in files]


def test_images_that_do_not_fit_are_refused(files, tmp_path):
    (tmp_path / "c.png").write_bytes(b"no image")
    Image.new("RGB", (5, 5)).save(tmp_path / "d.png")
    pixels = _signature("float32", None, None, None, 3)
    for chosen, signature, words in (
        ([tmp_path / "c.png"], pixels, "is no image"),
        ([tmp_path / "none.png"], pixels, "cannot be read"),
        ([tmp_path / "none.png"], _signature("string", None), "cannot be read"),
        ([*files, tmp_path / "d.png"], pixels, "differ in size"),
        (files, _signature("float32", None, 4), "takes no images"),
        (files, Signature("s", {}, {}, ""), "one input"),
    ):
        with pytest.raises(TfsError, match=words):
            inputs_from_images(chosen, signature, PixelRange())
