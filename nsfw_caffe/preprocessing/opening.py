"""Opening a picture's file with Pillow: its format, and what it asks for, are checked before anything is decoded."""

from __future__ import annotations

import io
import re

from PIL import Image, ImageFile, UnidentifiedImageError

from nsfw_caffe.preprocessing import formats
from nsfw_caffe.preprocessing.headers import announced_sizes, count_jpeg_scans, has_jpeg, most_tiff_values
from nsfw_caffe.preprocessing.jpeg import JPEG_FORMATS
from nsfw_caffe.preprocessing.limits import Limits

STEPS_A_READ = 10
"""What a read by a plugin counts, or a strip of a TIFF: with what is done about it, it is as much as ten pixels."""


class NotRead(Exception):  # noqa: N818 - a state, named as one
    """The file is in no format that is read; the message says which it is in, where that is known."""


def open_picture(data: bytes, limits: Limits) -> Image.Image:
    """Open a picture's file, without decoding it: its size and format are known then.

    NotRead or LimitExceeded, or whatever Pillow's plugins raise. Decoding it too raises LimitExceeded, or an error that
    a plugin makes of that, where it takes too many steps.
    """
    limits.check("bytes", len(data), "bytes")
    for width, height in announced_sizes(data):
        limits.check_size(width, height)
    check_tiff(data, limits, pages=1)
    stream = _Stream(data, limits)
    try:
        picture = _open(stream)
    except UnidentifiedImageError as error:
        stream.check()
        unknown = f"not in any picture format that Pillow knows{formats.hint(data)}"
        raise NotRead(formats.refusal(data[:16]) or unknown) from error
    except Image.DecompressionBombError as error:
        if found := re.search(r"\((\d+) pixels\)", str(error)):
            limits.check("pixels", int(found[1]), "pixels")
        raise
    except Exception:
        stream.check()
        raise
    if check_picture(picture, limits) or picture.format == "GIF":
        stream.steps_a_read = 1  # a pixel, or one of the blocks of 255 bytes that Pillow skips from frame to frame
    if has_jpeg(data):
        check_scans(data, max(0, data.find(b"\xff\xd8")), limits)
    return picture


def check_opened(picture: ImageFile.ImageFile, limits: Limits) -> None:
    """Check a picture that somebody else has opened: LimitExceeded if it asks for more than it may."""
    check_picture(picture, limits)
    if picture.format in JPEG_FORMATS and picture.tile and picture.fp is not None:  # it is not decoded yet
        position = picture.fp.tell()
        picture.fp.seek(getattr(picture, "offset", 0))
        check_scans(picture.fp.read(), 0, limits)
        picture.fp.seek(position)


def check_tiff(data: bytes, limits: Limits, *, pages: int | None) -> None:
    """Check how many numbers a field of a TIFF has on its first pages, or on all (None).

    LimitExceeded if there are more than there may be: Pillow makes several objects of each.
    """
    limits.check("steps", STEPS_A_READ * most_tiff_values(data, pages=pages), "steps of Pillow's Python code")


def check_scans(data: bytes, start: int, limits: Limits) -> None:
    """Check how many scans the JPEG has that begins at a place in a file; LimitExceeded if too many."""
    # Each has its two bytes; looking for them takes a hundredth of decoding, and is enough for nearly every picture.
    if limits.jpeg_scans is not None and len(_SOS.findall(data, start)) > limits.jpeg_scans:
        limits.check("jpeg_scans", count_jpeg_scans(data, start), "scans of a JPEG")


def check_picture(picture: Image.Image, limits: Limits) -> bool:
    """Check what an opened picture, or the frame that it has been wound to, says of itself.

    Tells whether Pillow decodes it in Python. LimitExceeded if it asks for more than it may.
    """
    limits.check_size(*picture.size)
    in_python = any(formats.is_pillows(Image.DECODERS.get(tile[0])) for tile in getattr(picture, "tile", ())[:1])
    if in_python:
        limits.check("steps", picture.width * picture.height, "pixels of a format that Pillow decodes in Python")
    tags = getattr(picture, "tag_v2", None)
    if tags is not None and picture.format == "TIFF":
        width, height = (tags.get(tag, 0) for tag in _TILE_SIZE)
        if isinstance(width, int) and isinstance(height, int):
            limits.check_size(width, height)
    return in_python


_SOS = re.compile(rb"\xff\xda")
_TILE_SIZE = (322, 323)  # TileWidth and TileLength: libtiff decodes a tile as a whole, however small the picture is


def _open(stream: io.BytesIO) -> Image.Image:
    Image.preinit()
    try:
        # A name that lies about the format is common; Pillow goes by the content.
        return Image.open(stream, formats=formats.COMMON)
    except UnidentifiedImageError:
        return Image.open(stream, formats=formats.others())


class _Stream(io.BytesIO):
    """A file in memory that can be read from so often."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        super().__init__(data)
        self._limits = limits
        self._steps = 0
        self.steps_a_read = STEPS_A_READ

    def read(self, size: int | None = -1, /) -> bytes:
        self._steps += self.steps_a_read
        self.check()
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        self._steps += self.steps_a_read
        self.check()
        return super().readline(size)

    def check(self) -> None:
        """Raise LimitExceeded where it has been read from too often: some plugins go on after an error."""
        self._limits.check("steps", self._steps, "steps of Pillow's Python code")
