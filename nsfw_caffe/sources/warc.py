"""WARC files, what web crawlers keep, from front to back."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.sources.archive import (
    BROKEN_STRUCTURE,
    CHUNK,
    STOPS_EARLY,
    Archive,
    ArchiveError,
    Known,
    UniqueNames,
    damaged,
    member_source,
    open_file,
    read_at_most,
    without_reading,
)
from nsfw_caffe.sources.decompression import MOST_HEADERS, Unpacked
from nsfw_caffe.sources.http_body import BodyError, decode_body
from nsfw_caffe.sources.item import Item
from nsfw_caffe.sources.selection import Selection

_UNPRINTED = logging.NullHandler()
"""Where no handler is, Python prints a library's warnings."""


def read_warc(archive: Archive, selection: Selection, known: Known) -> Iterator[Item]:
    """Read the pictures of a WARC file, in its order; see `find_items`.

    They are the records of type "resource" and, where HTTP gave the status 200, "response", whose type is image/*.
    An item's size is that of the content, so where HTTP has encoded it, it is known only once it has been read.

    Raises
    ------
    ArchiveError
        If it cannot be opened, is not a WARC file, breaks off, or must not be unpacked; what came before that stays.
    """
    with open_file(archive) as file:
        unpacked = Unpacked(archive, file)
        names = UniqueNames()
        for record in _records(unpacked):
            address = record.rec_headers.get_header("WARC-Target-URI")
            headers = _picture_headers(record) if address else None
            if headers is None or not selection.takes_address(address):
                continue
            encodings = (headers.get("transfer-encoding"), headers.get("content-encoding"))
            size = None if any(encodings) else record.raw_stream.limit
            item = Item(member_source(archive, names.take(address)), size, _mtime(record))
            unpacked.allow(None)
            yield without_reading(item, selection, known) or _read_record(record, encodings, item, selection)


def require_warcio() -> None:
    """Raise a ResultsError if warcio, which reads WARC files, is not installed."""
    try:
        import warcio  # noqa: F401
    except ImportError as error:
        raise ResultsError("WARC files need warcio: pip install 'nsfw-caffe[scan]'") from error


def _records(unpacked: Unpacked) -> Iterator[Any]:
    """Yield each record, whose content may be read until the next one is asked for."""
    from warcio.archiveiterator import WARCIterator

    logging.getLogger("warcio").addHandler(_UNPRINTED)
    iterator = WARCIterator(unpacked, no_record_parse=True)
    # warcio prints where it finds damage: in gzip, which is therefore unpacked here, and behind a record.
    iterator.reader.set_decomp(None)
    iterator.INC_RECORD = ""
    count = 0
    while True:
        unpacked.allow(MOST_HEADERS)
        try:
            record = next(iterator, None)
        except ArchiveError:
            raise
        except Exception as error:  # what warcio raises for a damaged archive is no closed list
            raise damaged(BROKEN_STRUCTURE) from error
        if record is None:
            break
        if iterator.err_count or record.length is None:
            raise damaged(BROKEN_STRUCTURE)
        count += 1
        yield record
        unpacked.allow(None)
        while record.raw_stream.read(CHUNK):
            pass
        if record.raw_stream.limit:
            raise damaged(STOPS_EARLY)
    if not count:
        raise damaged("it is empty")


def _picture_headers(record: Any) -> dict[str, str] | None:  # noqa: ANN401
    """Return the HTTP headers of a record, by their names in lower case; None if it holds no picture."""
    if record.rec_type == "resource":
        return {} if _is_picture(record.content_type) else None
    if record.rec_type != "response":
        return None
    from warcio.statusandheaders import StatusAndHeadersParser

    try:
        parsed = StatusAndHeadersParser([], verify=False).parse(record.raw_stream)
    except ArchiveError:
        raise
    except Exception:  # noqa: BLE001 - a record without content, or with other headers than HTTP's
        return None
    headers = {name.lower(): value.strip().lower() for name, value in parsed.headers}
    return headers if parsed.get_statuscode() == "200" and _is_picture(headers.get("content-type")) else None


def _is_picture(content_type: str | None) -> bool:
    return content_type is not None and content_type.strip().lower().startswith("image/")


def _mtime(record: Any) -> float | None:  # noqa: ANN401
    from warcio.timeutils import iso_date_to_datetime

    try:
        timestamp: float = iso_date_to_datetime(record.rec_headers.get_header("WARC-Date"), tz_aware=True).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return timestamp


def _read_record(record: Any, encodings: tuple[str | None, str | None], item: Item, selection: Selection) -> Item:  # noqa: ANN401
    """Return the picture with its content, or with what is wrong with it."""
    stream = record.raw_stream
    body = read_at_most(stream, min(stream.limit, selection.max_bytes))
    if stream.limit and len(body) <= selection.max_bytes:
        raise damaged(STOPS_EARLY)
    try:
        content = decode_body(body, *encodings, selection.max_bytes)
    except BodyError as error:
        return dataclasses.replace(item, error=str(error))
    return dataclasses.replace(item, size=len(content), content=content)
