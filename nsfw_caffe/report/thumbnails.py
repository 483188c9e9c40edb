"""Small pictures of sources for a page: by default with nothing in them that anybody could recognise."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from typing import TypeAlias

from PIL import Image, ImageFilter

from nsfw_caffe.errors import EngineUnavailable, NsfwCaffeError, VideoError
from nsfw_caffe.preprocessing.decoder_warnings import collected, heedless, load
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, LimitExceeded
from nsfw_caffe.preprocessing.opening import open_picture
from nsfw_caffe.report.sections import HeatMap, Thumbnail
from nsfw_caffe.results.record import Record
from nsfw_caffe.sources.frames import frames_at
from nsfw_caffe.sources.reopening import CHANGED, Sources, SourceUnusable, check_unchanged, split_member

SIDE = 160
"""Of a thumbnail, in pixels, at most."""

_BLURRED_SIDE = 10
"""What a picture is shrunk to before it is blurred. A blur alone can be undone in part; what was averaged cannot."""

_QUALITY = 80

_MOST = 256 << 20
"""Bytes of a source that are read where nothing says how many it had when it was scored."""

Colour: TypeAlias = Callable[[bytes, Image.Image], tuple[Image.Image, float]]
"""Lays the heat map of a picture's file over its thumbnail, and gives the score that it explains."""


def thumbnails(
    wanted: Iterable[Record | str], *, clear: bool = False, colour: Colour | None = None
) -> tuple[Thumbnail, ...]:
    """Make a thumbnail of each record's source as it was scored, or say why there is none.

    Of a mere name, a path or ``archive!member``, the source is taken as it is now. Unless `clear`, the pictures are
    averaged to 10 pixels a side and blurred, those below the colours of a heat map too.
    """
    with Sources() as sources:
        return tuple(_thumbnail(each, sources, clear, colour) for each in wanted)


def _thumbnail(wanted: Record | str, sources: Sources, clear: bool, colour: Colour | None) -> Thumbnail:
    source = wanted if isinstance(wanted, str) else wanted.source
    try:
        if isinstance(wanted, Record) and wanted.max_time is not None:
            picture = make_small(_frame(wanted, wanted.max_time, sources), clear=clear)
            return Thumbnail(source, uri(picture), *picture.size, None)
        content = _read(wanted, sources)
        with collected():  # and dropped: it was said of the picture when it was scored
            picture = heedless(partial(shrink, content, clear=clear))
            heat_map = None if colour is None else _heat_map(content, picture, colour)
    except SourceUnusable as error:
        return Thumbnail(source, None, 0, 0, str(error))
    return Thumbnail(source, uri(picture), *picture.size, None, heat_map)


def _heat_map(content: bytes, picture: Image.Image, colour: Colour) -> HeatMap:
    try:
        coloured, score = colour(content, picture)
    except NsfwCaffeError as error:
        return HeatMap(None, str(error))
    return HeatMap(uri(coloured), f"heat map of {score:.4f}")


def uri(picture: Image.Image) -> str:
    """Write a small picture as a data: URI."""
    output = io.BytesIO()
    picture.save(output, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(output.getvalue()).decode("ascii")


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
    return make_small(small, clear=clear)


def make_small(small: Image.Image, *, clear: bool) -> Image.Image:
    """Shrink a picture, RGB, in its place or as a new one, and blur it for good, unless `clear`."""
    # A comment or a profile would go into the JPEG, and a picture's EXIF can hold a clear thumbnail of its own.
    small.info.clear()
    small.thumbnail((SIDE, SIDE))
    if clear:
        return small
    shape = small.size
    small.thumbnail((_BLURRED_SIDE, _BLURRED_SIDE), Image.Resampling.BOX)
    return small.resize(shape, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(SIDE / _BLURRED_SIDE / 2))


def _frame(record: Record, time: float, sources: Sources) -> Image.Image:
    """Return the frame that gave a video its score."""
    source: str | bytes = record.source
    try:
        if split_member(record.source) is not None:
            source = _read(record, sources)
        else:
            check_unchanged(record.source, record.bytes, record.mtime)  # to hash it would take long
        return next(picture for _, picture in frames_at(source, [time])).convert("RGB")
    except (VideoError, EngineUnavailable) as error:
        raise SourceUnusable("it cannot be decoded") from error


def _read(wanted: Record | str, sources: Sources) -> bytes:
    if isinstance(wanted, str):
        source, most, too_long = wanted, _MOST, "it is too large"
    else:
        source, most, too_long = wanted.source, wanted.bytes or 0, CHANGED
    content = bytearray()
    for chunk in sources.chunks(source):
        content += chunk
        if len(content) > most:
            raise SourceUnusable(too_long)
    # What has come since under the same name has another score.
    if isinstance(wanted, Record) and sha256(content).hexdigest() != wanted.sha256:
        raise SourceUnusable(CHANGED)
    return bytes(content)
