"""Undoing what HTTP does to a body."""

from __future__ import annotations

import gzip
import zlib

import pytest

from nsfw_caffe.sources.warc import decode_body
from nsfw_caffe.system.reading import UnreadableError
from tests.sources.support import PICTURES

PHOTO = PICTURES["moon.png"]
LIMIT = 1 << 20


def chunked(body: bytes, size: int = 1000) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x;name=value\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def deflated(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


@pytest.mark.parametrize(
    ("body", "transfer", "content"),
    [
        (PHOTO, None, None),
        (PHOTO, "identity", "identity"),
        (chunked(PHOTO), "chunked", None),
        (gzip.compress(PHOTO), None, "gzip"),
        (gzip.compress(PHOTO), None, "x-gzip"),
        (zlib.compress(PHOTO), None, "deflate"),
        (deflated(PHOTO), None, "deflate"),
        (chunked(gzip.compress(PHOTO)), "chunked", "gzip"),
        # What a crawler decoded, though it kept the headers.
        (PHOTO, "chunked", "gzip"),
        (gzip.compress(PHOTO), "chunked", "gzip"),
    ],
)
def test_body_is_what_it_was_before(body: bytes, transfer: str | None, content: str | None) -> None:
    assert decode_body(body, transfer, content, LIMIT) == PHOTO


@pytest.mark.parametrize(
    ("body", "transfer", "content", "error"),
    [
        (chunked(PHOTO)[:-900], "chunked", None, "the content is damaged (its chunks are broken)"),
        (
            chunked(PHOTO).replace(b"\r\n3e8;", b"\r\nxyz;", 5),
            "chunked",
            None,
            "the content is damaged (its chunks are broken)",
        ),
        (gzip.compress(PHOTO)[:-9], None, "gzip", "the content is damaged (its compressed data stops too early)"),
        (gzip.compress(PHOTO)[:-8] + bytes(8), None, "gzip", "the content is damaged (its compressed data is broken)"),
        (PHOTO, None, "deflate", "the content is damaged (its compressed data is broken)"),
        (PHOTO, None, "br", "the content's encoding is not supported"),
        (PHOTO, None, "gzip, gzip", "the content's encoding is not supported"),
    ],
)
def test_damage_is_told(body: bytes, transfer: str | None, content: str | None, error: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        decode_body(body, transfer, content, LIMIT)
    assert str(raised.value) == error


@pytest.mark.parametrize(
    ("body", "transfer", "content"),
    [
        (bytes(LIMIT + 1), None, None),
        (chunked(bytes(LIMIT), 1 << 19), "chunked", None),
        (gzip.compress(bytes(LIMIT + 1)), None, "gzip"),
        (zlib.compress(bytes(64 * LIMIT)), None, "deflate"),
    ],
)
def test_no_more_than_the_limit_comes_out(body: bytes, transfer: str | None, content: str | None) -> None:
    with pytest.raises(UnreadableError, match="larger than the limit of 1048576 bytes"):
        decode_body(body, transfer, content, LIMIT)
