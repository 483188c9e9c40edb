"""Small pictures of sources for a page: by default with nothing in them that anybody could recognise."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256

from PIL import Image, ImageFilter

from nsfw_caffe.preprocessing.decoder_warnings import collected, heedless, load
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, LimitExceeded
from nsfw_caffe.preprocessing.opening import open_picture
from nsfw_caffe.report.sections import Thumbnail
from nsfw_caffe.results.record import Record
from nsfw_caffe.sources.reopening import Sources, SourceUnusable

SIDE = 160
"""Of a thumbnail, in pixels, at most."""

_BLURRED_SIDE = 10
"""What a picture is shrunk to before it is blurred. A blur alone can be undone in part; what was averaged cannot."""

_QUALITY = 80

_MOST = 256 << 20
"""Bytes of a source that are read where nothing says how many it had when it was scored."""


def thumbnails(records: Iterable[Record], *, clear: bool = False) -> tuple[Thumbnail, ...]:
    """Make a thumbnail of each record's source as it was scored; of one that is not there any more, say so.

    Unless `clear`, the pictures are averaged to 10 pixels a side and blurred.
    """
    with Sources() as sources:
        return tuple(_thumbnail(record.source, partial(_read_scored, record, sources), clear) for record in records)


def thumbnails_of(names: Iterable[str], *, clear: bool = False) -> tuple[Thumbnail, ...]:
    """Make a thumbnail of each path or ``archive!member`` as it is now, where no more is known of what was scored."""
    with Sources() as sources:
        return tuple(_thumbnail(name, partial(_read, name, sources, _MOST), clear) for name in names)


def _thumbnail(source: str, read: Callable[[], bytes], clear: bool) -> Thumbnail:
    try:
        content = read()
        with collected():  # and dropped: it was said of the picture when it was scored
            picture = heedless(partial(shrink, content, clear=clear))
    except SourceUnusable as error:
        return Thumbnail(source, None, 0, 0, str(error))
    output = io.BytesIO()
    picture.save(output, "JPEG", quality=_QUALITY)
    uri = "data:image/jpeg;base64," + base64.b64encode(output.getvalue()).decode("ascii")
    return Thumbnail(source, uri, *picture.size, None)


def shrink(content: bytes, *, clear: bool = False) -> Image.Image:
    """Make a small picture, RGB, of at most SIDE pixels a side, that carries nothing but its pixels.

    SourceUnusable: the content is no picture that Pillow can read.
    """
    try:
        with open_picture(content, DEFAULT_LIMITS) as picture:
            picture.draft("RGB", (SIDE, SIDE))
            load(picture)
            small = picture.convert("RGB")
    except LimitExceeded as error:
        raise SourceUnusable(f"it is too large: {error}") from error
    except Exception as error:  # Pillow's plugins raise whatever their format makes them raise
        raise SourceUnusable("it cannot be decoded") from error
    # A comment or a profile would go into the JPEG, and a picture's EXIF can hold a clear thumbnail of its own.
    small.info.clear()
    small.thumbnail((SIDE, SIDE))
    if clear:
        return small
    shape = small.size
    small.thumbnail((_BLURRED_SIDE, _BLURRED_SIDE), Image.Resampling.BOX)
    return small.resize(shape, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(SIDE / _BLURRED_SIDE / 2))


def _read_scored(record: Record, sources: Sources) -> bytes:
    content = _read(record.source, sources, record.bytes or 0, "it has changed since it was scored")
    # What has come since under the same name has another score.
    if sha256(content).hexdigest() != record.sha256:
        raise SourceUnusable("it has changed since it was scored")
    return content


def _read(source: str, sources: Sources, most: int, too_long: str = "it is too large") -> bytes:
    content = bytearray()
    for chunk in sources.chunks(source):
        content += chunk
        if len(content) > most:
            raise SourceUnusable(too_long)
    return bytes(content)
