"""Small pictures of sources for a page: by default with nothing in them that anybody could recognise."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from PIL import Image, ImageFilter

from nsfw_caffe.results.record import Record
from nsfw_caffe.scanning.reopen import Sources, SourceUnusable

SIDE = 160
"""Of a thumbnail, in pixels, at most."""

_BLURRED_SIDE = 10
"""What a picture is shrunk to before it is blurred. A blur alone can be undone in part; what was averaged cannot."""

_QUALITY = 80


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of a source.

    Attributes
    ----------
    record : Record
        The source's row.
    uri : str or None
        A JPEG as a data: URI; None where there is none.
    width, height : int
        Of the JPEG, in pixels; 0 where there is none.
    missing : str or None
        Why there is none.
    """

    record: Record
    uri: str | None
    width: int
    height: int
    missing: str | None


def thumbnails(records: Iterable[Record], *, clear: bool = False) -> tuple[Thumbnail, ...]:
    """Make a thumbnail of each record's source as it was scored; of one that is not there any more, say so.

    Parameters
    ----------
    records : iterable of Record
        Scored records.
    clear : bool, default False
        Show the pictures as they are. Without it they are averaged to 10 pixels a side and blurred.

    Returns
    -------
    tuple of Thumbnail
        One a record, in order.
    """
    with Sources() as sources:
        return tuple(_thumbnail(record, sources, clear) for record in records)


def _thumbnail(record: Record, sources: Sources, clear: bool) -> Thumbnail:
    try:
        picture = shrink(_read(record, sources), clear=clear)
    except SourceUnusable as error:
        return Thumbnail(record, None, 0, 0, str(error))
    output = io.BytesIO()
    picture.save(output, "JPEG", quality=_QUALITY)
    uri = "data:image/jpeg;base64," + base64.b64encode(output.getvalue()).decode("ascii")
    return Thumbnail(record, uri, *picture.size, None)


def shrink(content: bytes, *, clear: bool = False) -> Image.Image:
    """Make a small picture, RGB, of at most SIDE pixels a side, that carries nothing but its pixels.

    Raises
    ------
    SourceUnusable
        The content is no picture that Pillow can read.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.draft("RGB", (SIDE, SIDE))
            small = picture.convert("RGB")
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


def _read(record: Record, sources: Sources) -> bytes:
    content = bytearray()
    for chunk in sources.chunks(record.source):
        content += chunk
        if len(content) > (record.bytes or 0):
            break
    # What has come since under the same name has another score.
    if sha256(content).hexdigest() != record.sha256:
        raise SourceUnusable("it has changed since it was scored")
    return bytes(content)
