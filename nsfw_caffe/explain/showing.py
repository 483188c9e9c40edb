"""A picture as it is shown, which is not how it is scored: its EXIF data may have it turned."""

from __future__ import annotations

import contextlib

from PIL import ExifTags, Image

from nsfw_caffe.preprocessing.jpeg import JPEG_FORMATS, PillowCodec
from nsfw_caffe.preprocessing.limits import Limits
from nsfw_caffe.preprocessing.steps import Source, rgb

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What shows a picture upright, for EXIF's values of Orientation (CIPA DC-008, 4.6.5)."""


class StoredPicture:
    """A source as it is stored, RGB, not larger than a side; what it takes to show it is known.

    Attributes
    ----------
    picture : PIL.Image.Image
        As the network is given it, but for its size: the first frame, without transparency, not turned.
    """

    def __init__(self, source: Source, limits: Limits, most: tuple[int, int], least: int) -> None:
        codec = _SmallCodec(max(most))
        found = rgb(source, codec, limits)
        picture = found if isinstance(found, Image.Image) else Image.fromarray(found)
        orientation = _orientation(source) if isinstance(source, Image.Image) else codec.orientation
        self._turn = _TURNS.get(orientation)
        if orientation >= _SIDEWAYS:
            most = most[1], most[0]
        self.picture = picture.resize(_fitting(picture.size, most, least), Image.Resampling.BILINEAR, reducing_gap=2)

    def show(self, picture: Image.Image) -> Image.Image:
        """Turn a picture that lies on this one as its EXIF data say."""
        return picture if self._turn is None else picture.transpose(self._turn)


_SIDEWAYS = 5
"""Orientations from this one on exchange width and height."""


class _SmallCodec(PillowCodec):
    """Decodes large JPEG files smaller, and keeps in mind how a picture is to be turned."""

    def __init__(self, side: int) -> None:
        self._side = side
        self.orientation = 1

    def decode_source(self, picture: Image.Image, data: bytes) -> Image.Image:
        if picture.format in JPEG_FORMATS:
            picture.draft("RGB", (self._side, self._side))
        picture = super().decode_source(picture, data)
        self.orientation = _orientation(picture)  # now: Pillow has turned a TIFF already when it is decoded
        return picture


def _orientation(picture: Image.Image) -> int:
    with contextlib.suppress(Exception):  # whatever Pillow makes of damaged data
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _fitting(size: tuple[int, int], most: tuple[int, int], least: int) -> tuple[int, int]:
    """Scale a size down until it fits, or up until its longer side has so many pixels at least."""
    width, height = size
    scale = min(most[0] / width, most[1] / height, max(1.0, least / max(size)))
    return max(1, round(width * scale)), max(1, round(height * scale))
