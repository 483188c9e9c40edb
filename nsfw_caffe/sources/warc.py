"""WARC files, what web crawlers keep, from front to back."""

from __future__ import annotations

import functools
import logging
import re
import zlib
from collections.abc import Iterator
from typing import Any

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.sources.archive import (
    BROKEN_STRUCTURE,
    CHUNK,
    MOST_HEADERS,
    STOPS_EARLY,
    Archive,
    Decompressed,
    UniqueNames,
    damaged,
    member_item,
    member_source,
    open_file,
    read_at_most,
    too_large,
)
from nsfw_caffe.sources.item import ArchiveError, Item
from nsfw_caffe.sources.selection import Selection
from nsfw_caffe.system.extras import install_hint
from nsfw_caffe.system.reading import UnreadableError

_UNPRINTED = logging.NullHandler()  # where no handler is, Python prints a library's warnings
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_DEFLATE = -zlib.MAX_WBITS
_MAGIC = b"\x1f\x8b"
_CHUNK_HEADER = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\r\n]*)?\r\n")


def read_warc(archive: Archive, selection: Selection) -> Iterator[Item]:
    """Read the pictures of a WARC file: image/* of type "resource" or, where HTTP gave the status 200, "response".

    Where videos are wanted, video/* too.

    An item's size is that of the content, so where HTTP has encoded it, it is known only once it has been read.
    ArchiveError if the file is no WARC file, breaks off, or must not be unpacked; what came before that stays.
    """
    kinds = ("image/", "video/") if selection.videos else ("image/",)
    with open_file(archive) as file:
        decompressed = Decompressed(archive, file)
        names = UniqueNames()
        for record in _records(decompressed):
            address = record.rec_headers.get_header("WARC-Target-URI")
            headers = _picture_headers(record, kinds) if address else None
            if headers is None or not selection.takes_address(address):
                continue
            encodings = (headers.get("transfer-encoding"), headers.get("content-encoding"))
            size = None if any(encodings) else record.raw_stream.limit
            source = member_source(archive, names.take(address))
            read = functools.partial(_read_record, record, encodings, selection.max_bytes)
            decompressed.allow(None)
            yield member_item(source, size, _mtime(record), read, selection.max_bytes)


def require_warcio() -> None:
    """Raise a ResultsError if warcio, which reads WARC files, is not installed."""
    try:
        import warcio  # noqa: F401
    except ImportError as error:
        raise ResultsError(f"WARC files need warcio: {install_hint('scan')}") from error


def _records(decompressed: Decompressed) -> Iterator[Any]:
    """Yield each record, whose content may be read until the next one is asked for."""
    from warcio.archiveiterator import WARCIterator

    logging.getLogger("warcio").addHandler(_UNPRINTED)
    iterator = WARCIterator(decompressed, no_record_parse=True)
    # warcio prints where it finds damage: in gzip, which is therefore unpacked here, and behind a record.
    iterator.reader.set_decomp(None)
    iterator.INC_RECORD = ""
    count = 0
    while True:
        decompressed.allow(MOST_HEADERS)
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
        decompressed.allow(None)
        while record.raw_stream.read(CHUNK):
            pass
        if record.raw_stream.limit:
            raise damaged(STOPS_EARLY)
    if not count:
        raise damaged("it is empty")


def _picture_headers(record: Any, kinds: tuple[str, ...]) -> dict[str, str] | None:  # noqa: ANN401
    """Return the HTTP headers of a record, by their names in lower case; None if it holds nothing of these kinds."""
    if record.rec_type == "resource":
        return {} if _is_of(kinds, record.content_type) else None
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
    return headers if parsed.get_statuscode() == "200" and _is_of(kinds, headers.get("content-type")) else None


def _is_of(kinds: tuple[str, ...], content_type: str | None) -> bool:
    return content_type is not None and content_type.strip().lower().startswith(kinds)


def _mtime(record: Any) -> float | None:  # noqa: ANN401
    from warcio.timeutils import iso_date_to_datetime

    try:
        timestamp: float = iso_date_to_datetime(record.rec_headers.get_header("WARC-Date"), tz_aware=True).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return timestamp


def _read_record(record: Any, encodings: tuple[str | None, str | None], limit: int) -> bytes:  # noqa: ANN401
    """Return the picture, or raise an UnreadableError."""
    stream = record.raw_stream
    body = read_at_most(stream, min(stream.limit, limit))
    if stream.limit and len(body) <= limit:
        raise damaged(STOPS_EARLY)
    return decode_body(body, *encodings, limit)


def decode_body(body: bytes, transfer_encoding: str | None, content_encoding: str | None, limit: int) -> bytes:
    """Return what a body was before HTTP encoded it; UnreadableError if it is damaged, too large or encoded otherwise.

    warcio can do it too, but prints what is damaged, and unpacks without a limit. Some crawlers decode a body and keep
    the headers, so one that does not look encoded is taken as it is. The headers are in lower case.
    """
    if transfer_encoding == "chunked" and len(body) <= limit:
        body = _join_chunks(body)
    if len(body) > limit:
        raise UnreadableError(too_large(limit))
    if content_encoding in ("gzip", "x-gzip"):
        return _inflate(body, _GZIP, limit) if body.startswith(_MAGIC) else body
    if content_encoding == "deflate":
        # Servers send deflate with zlib's header, as RFC 9110 has it, and without.
        return _inflate(body, _ZLIB if _has_zlib_header(body) else _DEFLATE, limit)
    if content_encoding not in (None, "", "identity"):
        raise UnreadableError("the content's encoding is not supported")
    return body


def _join_chunks(body: bytes) -> bytes:
    chunks: list[bytes] = []
    position = 0
    while header := _CHUNK_HEADER.match(body, position):
        size = int(header[1], 16)
        if size == 0:
            return b"".join(chunks)
        position = header.end() + size
        chunks.append(body[header.end() : position])
        if body[position : position + 2] != b"\r\n":
            break
        position += 2
    if not chunks:
        return body
    raise UnreadableError("the content is damaged (its chunks are broken)")


def _has_zlib_header(body: bytes) -> bool:
    """Return whether the first two bytes are a multiple of 31 and name deflate (RFC 1950, 2.2)."""
    return len(body) > 1 and body[0] & 15 == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0


def _inflate(body: bytes, wbits: int, limit: int) -> bytes:
    inflater = zlib.decompressobj(wbits)
    try:
        content = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise UnreadableError("the content is damaged (its compressed data is broken)") from error
    if len(content) > limit:
        raise UnreadableError(too_large(limit))
    if not inflater.eof:
        raise UnreadableError("the content is damaged (its compressed data stops too early)")
    return content
