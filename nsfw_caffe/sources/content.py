"""An item's content: read, hashed, and what its header says."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from nsfw_caffe.preprocessing.decoder_warnings import collected, heedless
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, Limits
from nsfw_caffe.preprocessing.opening import open_picture
from nsfw_caffe.sources.item import Item
from nsfw_caffe.system.reading import read_file, why_unreadable


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
        data = read_file(item.path, item.most) if item.path is not None else item.content
    except Exception as error:  # noqa: BLE001 - no file system is to end a scan
        return Content(error=why_unreadable(item.source, error), seconds=time.perf_counter() - start)
    assert data is not None, item.source
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
