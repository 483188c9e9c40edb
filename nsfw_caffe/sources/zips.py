"""Zip files, by their directories."""

from __future__ import annotations

import bz2
import contextlib
import copy
import functools
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO

from nsfw_caffe.sources.archive import (
    CHUNK,
    Archive,
    Reader,
    UniqueNames,
    bomb,
    damaged,
    leads_out,
    member_item,
    member_source,
    open_file,
    read_at_most,
    reason,
)
from nsfw_caffe.sources.item import ArchiveError, Item
from nsfw_caffe.sources.selection import Selection
from nsfw_caffe.system.reading import UnreadableError

_LOCAL_HEADER = 30  # bytes in front of each member, its name not counted (APPNOTE.TXT 4.3.7)
_ENCRYPTED = 1  # the flag of that meaning (APPNOTE.TXT 4.4.4)
_UNIX = 3  # the system whose modes stand in the upper half of external_attr (APPNOTE.TXT 4.4.2)
_LZMA_END_MARK = 2  # the flag of that meaning (APPNOTE.TXT 4.4.4)


def read_zip(archive: Archive, selection: Selection) -> Iterator[Item]:
    """Read a zip file's members, in the order of its directory; see `find_items`.

    ArchiveError if it cannot be opened, is not a zip file, or must not be unpacked.
    """
    with _opened(archive) as opened:
        names = UniqueNames()
        for member in _members(opened, selection):
            source = member_source(archive, names.take(member.filename))
            read = functools.partial(_read_member, opened, member)
            refused = leads_out(member.orig_filename)
            yield member_item(source, member.file_size, _mtime(member), read, selection.max_bytes, refused=refused)


def count_zip(archive: Archive, selection: Selection) -> int:
    """Return how many items `read_zip` gives, from the directory alone; it raises the same."""
    with _opened(archive) as opened:
        return sum(1 for _ in _members(opened, selection))


@contextlib.contextmanager
def _opened(archive: Archive) -> Iterator[zipfile.ZipFile]:
    with open_file(archive) as file, _parsed(file) as opened:
        _refuse_bombs(archive, opened.infolist())
        yield opened


def _parsed(file: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except NotImplementedError as error:
        raise ArchiveError("a zip file of a kind that cannot be read") from error
    except Exception as error:  # what zipfile raises for a damaged directory is no closed list
        raise damaged(reason(error)) from error


def _refuse_bombs(archive: Archive, members: list[zipfile.ZipInfo]) -> None:
    if sum(member.file_size for member in members) > archive.most_unpacked():
        raise bomb()
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise ArchiveError("refused: its members overlap, as a bomb's do")
        end = member.header_offset + _LOCAL_HEADER + member.compress_size


def _members(opened: zipfile.ZipFile, selection: Selection) -> Iterator[zipfile.ZipInfo]:
    for member in opened.infolist():
        mode = member.external_attr >> 16 if member.create_system == _UNIX else 0
        regular = not member.filename.endswith("/") and stat.S_IFMT(mode) in (0, stat.S_IFREG)
        if regular and selection.takes_member(member.filename):
            yield member


def _mtime(member: zipfile.ZipInfo) -> float | None:
    # Zip files keep local time without saying where; UTC gives the same number on every machine.
    try:
        return datetime(*member.date_time, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _read_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return the content of a member that is within the limit, or raise an UnreadableError."""
    if member.flag_bits & _ENCRYPTED:
        raise UnreadableError("the member is encrypted")
    try:
        content = _content(opened, member)
    except NotImplementedError as error:
        raise UnreadableError("the member's compression is not supported") from error
    except Exception as error:  # nor for a damaged member
        raise UnreadableError(f"the member is damaged ({reason(error)})") from error
    if len(content) != member.file_size:
        raise UnreadableError("the member is damaged (its length is not what the archive says)")
    if zlib.crc32(content) != member.CRC:
        raise UnreadableError("the member is damaged (its checksum is wrong)")
    return content


def _content(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    without_checksum = copy.copy(member)
    del without_checksum.CRC  # zipfile says of a wrong checksum what it says of a wrong header
    if member.compress_type not in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with opened.open(without_checksum) as stream:
            return read_at_most(stream, member.file_size)
    # Of these two zipfile unpacks at once all that it has read: a few bytes become gigabytes. So it is told that they
    # are stored, and gives the bytes as they are.
    without_checksum.compress_type = zipfile.ZIP_STORED
    without_checksum.file_size = member.compress_size
    with opened.open(without_checksum) as stream:
        return read_at_most(_Inflated(stream, member), member.file_size)


class _Inflated:
    """What a bzip2 or LZMA member unpacks to, a piece at a time."""

    def __init__(self, stream: Reader, member: zipfile.ZipInfo) -> None:
        self._stream = stream
        self._decompressor: bz2.BZ2Decompressor | lzma.LZMADecompressor = bz2.BZ2Decompressor()
        self._next = b""
        if member.compress_type == zipfile.ZIP_LZMA:
            self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE)
            # In front are a version and a length of two bytes each (APPNOTE.TXT 5.8.8), and then what a .lzma file
            # begins with, but for the unpacked length.
            stream.read(4)
            length = -1 if member.flag_bits & _LZMA_END_MARK else member.file_size
            self._next = stream.read(5) + struct.pack("<q", length)

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end."""
        while not self._decompressor.eof:
            packed = b""
            if self._decompressor.needs_input:
                packed, self._next = self._next or self._stream.read(CHUNK), b""
                if not packed:
                    raise EOFError
            if piece := self._decompressor.decompress(packed, size):
                return piece
        return b""
