"""The frames of an animated picture that a scan looks at."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

from PIL import Image

from nsfw_caffe.said import collected, load


def later_frames(data: bytes, count: int) -> Iterator[Image.Image]:
    """Decode frames of a picture, evenly spaced from the first, which is left out, to the last.

    Parameters
    ----------
    data : bytes
        The picture's file.
    count : int
        How many frames at most, the first one among them; 1 or more.

    Yields
    ------
    PIL.Image.Image
        The frame as a viewer shows it; none where there is but one frame. The first one that cannot be decoded is the
        end: what comes after it depends on it.
    """
    if count == 1:
        return
    with contextlib.suppress(Exception):  # Pillow's plugins raise whatever their format makes them raise
        with collected():
            picture = Image.open(io.BytesIO(data))
            last = getattr(picture, "n_frames", 1) - 1
        for index in sorted({round(step * last / (count - 1)) for step in range(1, count)} - {0}):
            with collected():  # and dropped: the same is said of the file
                picture.seek(index)
                load(picture)
                frame = picture.copy()
            yield frame
