"""The bytes of a file that may be compressed as a whole."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

import pytest

from nsfw_caffe.sources.archive import Archive, Decompressed, read_at_most
from nsfw_caffe.sources.item import ArchiveError
from tests.sources.support import PICTURES

PHOTO = PICTURES["moon.png"]
MIB = 1 << 20


def unpacked(content: bytes) -> Decompressed:
    return Decompressed(Archive("x", len(content), 0), io.BytesIO(content))


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_content_decides_how_it_is_unpacked(compress: Callable[[bytes], bytes]) -> None:
    assert read_at_most(unpacked(compress(PHOTO)), MIB) == PHOTO
    # Several compressed files in a row are one, as pigz and per-record gzip write them.
    assert read_at_most(unpacked(compress(PHOTO) + compress(b"end")), MIB) == PHOTO + b"end"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_damage_is_an_archive_error(compress: Callable[[bytes], bytes]) -> None:
    whole = compress(PHOTO)
    with pytest.raises(ArchiveError, match=r"damaged \(it stops too early"):
        read_at_most(unpacked(whole[:-9]), MIB)
    middle = len(whole) // 2
    with pytest.raises(ArchiveError, match=r"damaged \(its compressed data is broken"):
        read_at_most(unpacked(whole[:middle] + bytes(99) + whole[middle + 99 :]), MIB)


def test_small_file_may_unpack_to_any_multiple() -> None:
    stream = unpacked(gzip.compress(bytes(16 * MIB)))
    assert len(read_at_most(stream, 1 << 30)) == 16 * MIB


def test_headers_have_a_limit_of_their_own() -> None:
    stream = unpacked(bytes(10_000))
    stream.allow(1000)
    stream.read(1000)
    with pytest.raises(ArchiveError, match="a member's headers are too long"):
        stream.read(1)
    stream.allow(None)
    assert len(stream.read(9001)) == 9000
