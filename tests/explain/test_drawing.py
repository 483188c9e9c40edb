"""Overlays: where the colours lie, on pictures of every kind."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import ExifTags, Image, ImageOps

from nsfw_caffe import Explanation, ImageError, Limits
from nsfw_caffe.explain import overlay
from nsfw_caffe.explain.drawing import _LEGEND as LEGEND
from nsfw_caffe.explain.drawing import SIDE
from nsfw_caffe.explain.scale import MOST, colours
from tests.support import PHOTOS

EXACT = (0.0625, 0.0625, 0.9375, 0.9375)
WHOLE = (0.0, 0.0, 1.0, 1.0)
GREY = (128, 128, 128)


def explanation(row: int = 0, column: int = 0, *, side: int = 7, box: tuple[float, ...] = EXACT) -> Explanation:
    """Make up an explanation with one hot place among cold ones."""
    heat_map = np.full((side, side), -MOST)
    heat_map[row, column] = MOST
    left, top, right, bottom = box
    return Explanation(0.5, heat_map, 0.0, 0.0, "nsfw", ("sfw",), (left, top, right, bottom), "exact")


def red(picture: Image.Image) -> npt.NDArray[np.bool_]:
    """Tell which pixels above the legend are red."""
    pixels = np.asarray(picture, int)[:-LEGEND]
    return pixels[:, :, 0] > pixels[:, :, 2] + 60


def extent(where: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """Give left, top, right and bottom of what is true, from 0 to 1."""
    rows, columns = np.nonzero(where)
    height, width = where.shape
    return columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height


@pytest.mark.parametrize("size", [(512, 512), (900, 300), (300, 900), (3000, 1000)], ids=str)
@pytest.mark.parametrize(("side", "box"), [(7, EXACT), (32, WHOLE)])
def test_each_place_lies_where_the_network_saw_it(
    size: tuple[int, int], side: int, box: tuple[float, float, float, float]
) -> None:
    row, column = side - 2, 1
    picture = overlay(Image.new("RGB", size, GREY), explanation(row, column, side=side, box=box))
    start, length = box[0], box[2] - box[0]
    expected = [start + length * place / side for place in (column, row, column + 1, row + 1)]
    assert extent(red(picture)) == pytest.approx(expected, abs=0.005)
    assert max(picture.size) <= SIDE


def test_what_is_not_seen_is_dark_and_without_colour() -> None:
    pixels = np.asarray(overlay(Image.new("RGB", (512, 512), GREY), explanation()))[:512]
    border = pixels[:31]
    assert (border == border[0, 0, 0]).all()
    assert border.max() < 90


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "opened"])
def test_a_turned_picture_is_shown_as_browsers_show_it(orientation: int, kind: str) -> None:
    """The map's first place goes with what it lies on, however the file says that the picture is to be turned."""
    stored = Image.new("RGB", (640, 320), (0, 0, 0))
    stored.paste((255, 255, 255), (40, 20, 120, 60))  # what the map's first place lies on
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    file = io.BytesIO()
    stored.save(file, "JPEG" if kind == "opened" else kind, exif=exif)
    source = Image.open(file) if kind == "opened" else file.getvalue()
    shown = overlay(source, explanation())
    stored.getexif()[ExifTags.Base.Orientation] = orientation
    by_pillow = ImageOps.exif_transpose(stored)
    assert (shown.width, shown.height - LEGEND) == by_pillow.size
    assert extent(red(shown)) == pytest.approx(extent(np.asarray(by_pillow)[:, :, 0] > 0), abs=0.005)


def test_a_turned_tiff_that_pillow_turns_itself() -> None:
    """It is scored as Pillow gives it, turned; it must not be turned twice."""
    file = io.BytesIO()
    Image.new("RGB", (640, 320), GREY).save(file, "TIFF", tiffinfo={274: 6})
    shown = overlay(file.getvalue(), explanation())
    assert (shown.width, shown.height - LEGEND) == (320, 640)
    left, top, *_ = extent(red(shown))
    assert (left, top) == pytest.approx((0.0625, 0.0625), abs=0.005)


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (3, 2), (5000, 4000)], ids=str)
def test_any_size_becomes_one_that_can_be_looked_at(size: tuple[int, int]) -> None:
    shown = overlay(Image.new("RGB", size), explanation())
    assert 288 <= shown.width <= SIDE
    assert LEGEND < shown.height <= SIDE


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_every_mode(mode: str) -> None:
    assert overlay(Image.new(mode, (300, 300)), explanation()).mode == "RGB"


def test_an_array_and_bytes_give_the_same_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    picture = Image.open(PHOTOS / "coffee.png").convert("RGB")
    picture.save(path)
    drawn = [overlay(source, explanation()) for source in (path, str(path), path.read_bytes(), np.asarray(picture))]
    assert all(each == drawn[0] for each in drawn)


def test_an_animation_is_shown_by_the_frame_that_is_scored() -> None:
    file = io.BytesIO()
    frames = [Image.new("RGB", (300, 300), (value, value, value)) for value in (0, 255)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100)
    assert overlay(file.getvalue(), explanation()) == overlay(frames[0], explanation())


def test_limits_hold_for_what_is_drawn() -> None:
    with pytest.raises(ImageError, match="the limit is 10"):
        overlay(PHOTOS / "coffee.png", explanation(), limits=Limits(pixels=10))
    with pytest.raises(ImageError, match="not in any picture format"):
        overlay(random.Random(0).randbytes(100), explanation())


def test_nothing_of_the_file_but_its_pixels_is_kept() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "somebody"
    file = io.BytesIO()
    Image.new("RGB", (300, 300)).save(file, "JPEG", exif=exif, comment=b"a comment")
    shown = overlay(file.getvalue(), explanation())
    assert shown.info == {}
    assert len(shown.getexif()) == 0


def test_the_user_keeps_his_picture_as_it_was() -> None:
    source = Image.open(PHOTOS / "astronaut.png")
    overlay(source, explanation())
    assert (source.size, source.format) == ((512, 512), "PNG")


def test_the_scale_is_the_same_for_all_pictures() -> None:
    """A place's colour says the same beside any other ones: it is not stretched to the picture's own range."""
    picture = Image.new("RGB", (512, 512), GREY)
    weak, strong = explanation(), explanation()
    weak.heat_map[weak.heat_map > 0] = 1.0
    faint, full = (np.asarray(overlay(picture, each), int)[60, 60] for each in (weak, strong))
    assert full[0] - full[2] > 4 * (faint[0] - faint[2]) > 0
    assert (colours(np.array([-MOST, -99])) == colours(np.array([-MOST, -MOST]))).all()
    assert colours(np.array(0.0)).tolist() == [247, 247, 247]


def test_bias_counts_in_the_colours() -> None:
    """White is where the score would be one half, were all places like it."""
    found = explanation()
    even = Explanation(0.5, np.full((7, 7), -2.0), 2.0, 0.0, "nsfw", ("sfw",), EXACT, "exact")
    pixels = np.asarray(overlay(Image.new("RGB", (512, 512), GREY), even), int)[256, 256]
    assert np.ptp(pixels) <= 1
    assert found.bias == 0


@pytest.mark.parametrize("name", ["a class of a very long name " * 5, "猫", "<b>"])
def test_any_name_of_a_class(name: str) -> None:
    found = Explanation(0.5, np.zeros((7, 7)), 0.0, 0.0, name, ("other",), EXACT, "fine", (0.1, 0.9))
    assert overlay(Image.new("RGB", (300, 300)), found).size == (300, 300 + LEGEND)
