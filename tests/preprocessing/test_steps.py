from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nsfw_caffe.errors import ImageError
from nsfw_caffe.model.spec import MEAN_BGR
from nsfw_caffe.preprocessing.jpeg import Ijg9dCodec, JpegCodec, PillowCodec
from nsfw_caffe.preprocessing.steps import describe, preprocess
from tests.support import PHOTOS

PHOTO = PHOTOS / "astronaut.png"
CODECS = [PillowCodec(), Ijg9dCodec()]


@pytest.fixture(params=CODECS, ids=lambda codec: codec.name)
def codec(request: pytest.FixtureRequest) -> JpegCodec:
    chosen: JpegCodec = request.param
    return chosen


def test_shape_type_and_range(codec: JpegCodec) -> None:
    tensor = preprocess(PHOTO, codec)
    assert tensor.shape == (3, 224, 224)
    assert tensor.dtype == np.float32
    assert -123 <= tensor.min() < tensor.max() <= 151


def test_flat_colour_becomes_colour_minus_mean_in_blue_green_red(codec: JpegCodec) -> None:
    # A flat colour survives the resize; JPEG may move it by a level or two.
    tensor = preprocess(Image.new("RGB", (300, 100), (10, 120, 240)), codec)
    for channel, level in zip(tensor, (240 - 104, 120 - 117, 10 - 123), strict=True):
        assert abs(channel - level).max() <= 2


def test_crop_is_the_centre() -> None:
    """One bright square in the middle of the 256x256 picture is in the middle of the 224x224 one."""
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[112:144, 112:144] = 255
    tensor = preprocess(pixels, PillowCodec())
    bright = np.argwhere(tensor[0] > 0)
    assert bright.min(axis=0).tolist() == [96, 96]
    assert bright.max(axis=0).tolist() == [127, 127]


def test_every_level_is_what_the_original_operations_make_of_it(codec: JpegCodec) -> None:
    """scikit-image's img_as_float, caffe.io.load_image and Transformer.preprocess, in their order and precision."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8))
    levels = codec.round_trip(noise)[16:240, 16:240]
    assert np.unique(levels).size == 256
    scaled = (levels / 255.0).astype(np.float32) * np.float32(255)
    expected = scaled[:, :, ::-1].transpose(2, 0, 1) - np.array(MEAN_BGR, np.float32)[:, None, None]
    assert (preprocess(noise, codec) == expected).all()


@pytest.mark.parametrize("name", ["astronaut.png", "rocket.jpg"])
@pytest.mark.parametrize(
    "as_source",
    [str, Path.read_bytes, lambda path: bytearray(path.read_bytes()), lambda path: memoryview(path.read_bytes())],
    ids=["str", "bytes", "bytearray", "memoryview"],
)
def test_sources_of_the_same_bytes_are_equal(name: str, as_source: Callable[[Path], Any], codec: JpegCodec) -> None:
    path = PHOTOS / name
    assert (preprocess(as_source(path), codec) == preprocess(path, codec)).all()


def test_file_objects(codec: JpegCodec) -> None:
    path = PHOTOS / "rocket.jpg"
    expected = preprocess(path, codec)
    with path.open("rb") as file:
        assert (preprocess(file, codec) == expected).all()
    assert (preprocess(io.BytesIO(path.read_bytes()), codec) == expected).all()


def test_image_and_array_equal_their_lossless_file(codec: JpegCodec) -> None:
    expected = preprocess(PHOTO, codec)
    with Image.open(PHOTO) as image:
        assert (preprocess(image, codec) == expected).all()
        array = np.asarray(image)
    assert (preprocess(array, codec) == expected).all()
    assert (preprocess(np.asfortranarray(array), codec) == expected).all()
    turned = np.ascontiguousarray(array.swapaxes(0, 1))
    assert (preprocess(turned.swapaxes(0, 1), codec) == expected).all()


def test_opened_image_is_taken_as_pillow_decodes_it(codec: JpegCodec) -> None:
    with Image.open(PHOTOS / "rocket.jpg") as image:
        decoded = np.asarray(image)
    with Image.open(PHOTOS / "rocket.jpg") as image:
        assert (preprocess(image, codec) == preprocess(decoded, codec)).all()


def test_users_image_is_left_as_it_was() -> None:
    image = Image.new("RGBA", (30, 20), (1, 2, 3, 4))
    image.info["comment"] = b"mine"
    preprocess(image, PillowCodec())
    assert (image.mode, image.size, image.info) == ("RGBA", (30, 20), {"comment": b"mine"})


def test_a_comment_too_long_for_jpeg_is_no_obstacle() -> None:
    image = Image.new("RGB", (30, 20), "red")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    expected = preprocess(buffer.getvalue(), PillowCodec())
    image.info["comment"] = b"x" * 100_000
    assert (preprocess(image, PillowCodec()) == expected).all()


def test_exif_orientation_is_not_applied(codec: JpegCodec) -> None:
    image = Image.open(PHOTO).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned
    plain, turned = io.BytesIO(), io.BytesIO()
    image.save(plain, "JPEG")
    image.save(turned, "JPEG", exif=exif)
    assert (preprocess(turned.getvalue(), codec) == preprocess(plain.getvalue(), codec)).all()


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "blue")]
    still, animated = io.BytesIO(), io.BytesIO()
    frames[0].save(still, "GIF")
    frames[0].save(animated, "GIF", save_all=True, append_images=frames[1:])
    assert (preprocess(animated.getvalue(), PillowCodec()) == preprocess(still.getvalue(), PillowCodec())).all()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
        (np.zeros((5, 0, 3), np.uint8), "no pixels"),
        (np.zeros((5, 5, 3), np.float32), "uint8"),
        (np.full((5, 5, 3), np.nan), "uint8"),
        (np.zeros((5, 5, 4), np.uint8), "(height, width, 3)"),
        (np.zeros((5, 5, 1), np.uint8), "(height, width, 3)"),
        (np.zeros((5, 5), np.uint8), "(height, width, 3)"),
        (np.zeros((1, 5, 5, 3), np.uint8), "(height, width, 3)"),
        (Image.new("RGB", (0, 5)), "no pixels"),
        (b"", "empty"),
        (b"not a picture", "not in any picture format"),
        (io.StringIO("text"), "binary mode"),
        (None, "not a source"),
        (42, "not a source"),
        ("a\0b", "cannot be read"),
    ],
    ids=describe,
)
def test_bad_source(source: Any, message: str, codec: JpegCodec) -> None:
    with pytest.raises(ImageError) as caught:
        preprocess(source, codec)
    assert str(caught.value).startswith(f"{describe(source)}: ")
    assert message in str(caught.value)


def test_closed_file() -> None:
    file = PHOTO.open("rb")
    file.close()
    with pytest.raises(ImageError, match=r"astronaut\.png: cannot be read"):
        preprocess(file, PillowCodec())


def test_closed_image() -> None:
    image = Image.open(PHOTO)
    image.close()
    with pytest.raises(ImageError, match=r"astronaut\.png: the picture cannot be decoded"):
        preprocess(image, PillowCodec())


@pytest.mark.parametrize("extent", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("name", ["rocket.jpg", "astronaut.png"])
def test_truncated_picture(name: str, extent: float, codec: JpegCodec) -> None:
    data = (PHOTOS / name).read_bytes()
    with pytest.raises(ImageError, match="cannot be decoded"):
        preprocess(data[: int(len(data) * extent)], codec)


def test_size_limit_is_pillows(monkeypatch: pytest.MonkeyPatch, codec: JpegCodec) -> None:
    pixels = 512 * 512
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels // 2 - 1)
    with pytest.raises(ImageError, match="decompression bomb"):
        preprocess(PHOTO, codec)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels - 1)
    with pytest.warns(Image.DecompressionBombWarning):
        tensor = preprocess(PHOTO, codec)
    monkeypatch.undo()
    assert (tensor == preprocess(PHOTO, codec)).all()


def test_foreign_errors_become_image_errors_with_their_cause(codec: JpegCodec) -> None:
    png = bytearray(PHOTO.read_bytes())
    png[16:24] = b"\xff" * 8  # IHDR's width and height
    with pytest.raises(ImageError) as caught:
        preprocess(bytes(png), codec)
    assert caught.value.__cause__ is not None
