"""What an item holds: its bytes, their hash, what the header says, and the frames of an animated picture."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from nsfw_caffe.preprocessing.decoder_warnings import collected, heedless, load
from nsfw_caffe.preprocessing.jpeg import JPEG_FORMATS
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, LimitExceeded, Limits
from nsfw_caffe.preprocessing.opening import check_picture, check_scans, check_tiff, open_picture
from nsfw_caffe.sources.item import Item
from nsfw_caffe.system.reading import UnreadableError


@dataclass(frozen=True)
class Content:
    """What an item holds.

    Attributes
    ----------
    data : bytes or None
        The content; None where it could not be read.
    sha256 : str or None
        Its hash, 64 hexadecimal digits.
    width, height : int or None
        Pixels, as the header says; None where Pillow finds no header.
    format : str or None
        Pillow's name of the format.
    error : str or None
        Why it could not be read, without the source's name.
    seconds : float
        How long all this took.
    """

    data: bytes | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    error: str | None = None
    seconds: float = 0.0


def read(item: Item, limits: Limits = DEFAULT_LIMITS) -> Content:
    """Read an item, hash it, and look at its header, where that exceeds no limit."""
    start = time.perf_counter()
    if item.error is not None:
        return Content(error=item.error)
    try:
        data = item.read()
    except UnreadableError as error:
        return Content(error=str(error), seconds=time.perf_counter() - start)
    sha256 = hashlib.sha256(data).hexdigest()
    width, height, name = _header(data, limits)
    return Content(data, sha256, width, height, name, None, time.perf_counter() - start)


def _header(data: bytes, limits: Limits) -> tuple[int | None, int | None, str | None]:
    try:
        with collected():  # and dropped: the same is said when it is decoded
            picture = heedless(lambda: open_picture(data, limits))
    except Exception:  # noqa: BLE001 - Pillow's plugins raise whatever their format makes them raise
        return None, None, None
    return picture.width, picture.height, picture.format


def later_frames(data: bytes, count: int, limits: Limits) -> Iterator[Image.Image]:
    """Decode frames of a picture, evenly spaced from the first, which is left out, to the last.

    Parameters
    ----------
    data : bytes
        The picture's file.
    count : int
        How many frames at most, the first one among them; 1 or more.
    limits : Limits
        What the animation, and each frame, may ask for.

    Yields
    ------
    PIL.Image.Image
        The frame as a viewer shows it; none where there is but one frame. The first one that cannot be decoded is the
        end: what comes after it depends on it.

    Raises
    ------
    LimitExceeded
        The animation asks for more than it may.
    """
    if count == 1:
        return
    try:
        yield from _later_frames(data, count, limits)
    except LimitExceeded:
        raise
    except Exception:  # noqa: BLE001 - Pillow's plugins raise whatever their format makes them raise
        return


def _later_frames(data: bytes, count: int, limits: Limits) -> Iterator[Image.Image]:
    with collected():  # and dropped: the same is said of the file
        picture = open_picture(data, limits)
        check_tiff(data, limits, pages=None)
        frames = getattr(picture, "n_frames", 1)
    limits.check("animation_pixels", frames * picture.width * picture.height, f"pixels in {frames} frames")
    last = frames - 1
    wanted = {round(step * last / (count - 1)) for step in range(1, count)} - {0}
    for index in range(1, max(wanted, default=0) + 1):
        with collected():
            # One by one: a frame may be larger than the first, and Pillow decodes each to come to the next.
            picture.seek(index)
            check_picture(picture, limits)
            if picture.format in JPEG_FORMATS:
                check_scans(data, getattr(picture, "offset", 0), limits)
            if index not in wanted:
                continue
            load(picture)
            frame = picture.copy()
        yield frame
