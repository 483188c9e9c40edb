"""The frames of an animated picture that a scan looks at."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from nsfw_caffe.preprocessing.decoder_warnings import collected, load
from nsfw_caffe.preprocessing.jpeg import JPEG_FORMATS
from nsfw_caffe.preprocessing.limits import LimitExceeded, Limits
from nsfw_caffe.preprocessing.opening import check_picture, check_scans, check_tiff, open_picture


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
