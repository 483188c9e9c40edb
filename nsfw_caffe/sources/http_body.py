"""Undoing what HTTP does to a body, within a limit.

warcio can do it too, but prints what is damaged, and unpacks without a limit.
"""

from __future__ import annotations

import re
import zlib

from nsfw_caffe.sources.archive import too_large

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_DEFLATE = -zlib.MAX_WBITS
_MAGIC = b"\x1f\x8b"
_CHUNK_HEADER = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\r\n]*)?\r\n")


class BodyError(Exception):
    """A body cannot be decoded; the message goes into the results."""


def decode_body(body: bytes, transfer_encoding: str | None, content_encoding: str | None, limit: int) -> bytes:
    """Return what a body was before HTTP encoded it.

    Some crawlers decode a body and keep the headers, so one that does not look encoded is taken as it is.

    Parameters
    ----------
    body : bytes
        As it came over the line.
    transfer_encoding, content_encoding : str or None
        The headers of these names, in lower case.
    limit : int
        How many bytes it may have, encoded and decoded.

    Raises
    ------
    BodyError
        If it is damaged, too large, or encoded in another way than with chunks, gzip and deflate.
    """
    if transfer_encoding == "chunked" and len(body) <= limit:
        body = _join_chunks(body)
    if len(body) > limit:
        raise BodyError(too_large(limit))
    if content_encoding in ("gzip", "x-gzip"):
        return _inflate(body, _GZIP, limit) if body.startswith(_MAGIC) else body
    if content_encoding == "deflate":
        # Servers send deflate with zlib's header, as RFC 9110 has it, and without.
        return _inflate(body, _ZLIB if _has_zlib_header(body) else _DEFLATE, limit)
    if content_encoding not in (None, "", "identity"):
        raise BodyError("the content's encoding is not supported")
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
    raise BodyError("the content is damaged (its chunks are broken)")


def _has_zlib_header(body: bytes) -> bool:
    """Return whether the first two bytes are a multiple of 31 and name deflate (RFC 1950, 2.2)."""
    return len(body) > 1 and body[0] & 15 == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0


def _inflate(body: bytes, wbits: int, limit: int) -> bytes:
    inflater = zlib.decompressobj(wbits)
    try:
        content = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise BodyError("the content is damaged (its compressed data is broken)") from error
    if len(content) > limit:
        raise BodyError(too_large(limit))
    if not inflater.eof:
        raise BodyError("the content is damaged (its compressed data stops too early)")
    return content
