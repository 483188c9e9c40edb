"""Zip files, by their directories."""

from __future__ import annotations

import contextlib
import dataclasses
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from nsfw_caffe.scanning.archive import (
    CHUNK,
    LEADS_OUT,
    Archive,
    ArchiveError,
    Known,
    UniqueNames,
    bomb,
    damaged,
    leads_out,
    member_source,
    read_at_most,
    reason,
    without_reading,
)
from nsfw_caffe.scanning.item import Item
from nsfw_caffe.scanning.selection import Selection

_LOCAL_HEADER = 30  # bytes in front of each member, its name not counted (APPNOTE.TXT 4.3.7)
_ENCRYPTED = 1  # the flag of that meaning (APPNOTE.TXT 4.4.4)
_UNIX = 3  # the system whose modes stand in the upper half of external_attr (APPNOTE.TXT 4.4.2)
_CHUNK_UNBOUNDED = 1 << 12  # zipfile unpacks all of what it has read of bzip2 and LZMA, so it gets little at a time

# What damaged directories and members were seen to raise. ValueError is a name that is not UTF-8, or a position
# before the beginning of the file; OverflowError, one beyond what a file can have.
_BROKEN = (zipfile.BadZipFile, EOFError, ValueError, OverflowError, zlib.error, lzma.LZMAError)


def read_zip(archive: Archive, selection: Selection, known: Known) -> Iterator[Item]:
    """Read a zip file's members, in the order of its directory; see `find_items`.

    Raises
    ------
    ArchiveError
        If it is not a zip file, or one that must not be unpacked.
    OSError
        If it cannot be opened.
    """
    with _opened(archive) as opened:
        names = UniqueNames()
        for member in _members(opened, selection):
            name = names.take(member.filename)
            item = Item(member_source(archive, name), member.file_size, _mtime(member))
            if leads_out(member.orig_filename):
                yield dataclasses.replace(item, error=LEADS_OUT)
            else:
                yield without_reading(item, selection, known) or _read_member(opened, member, item)


def count_zip(archive: Archive, selection: Selection) -> int:
    """Return how many items `read_zip` gives, from the directory alone.

    Raises
    ------
    ArchiveError, OSError
        As `read_zip` does.
    """
    with _opened(archive) as opened:
        return sum(1 for _ in _members(opened, selection))


@contextlib.contextmanager
def _opened(archive: Archive) -> Iterator[zipfile.ZipFile]:
    with Path(archive.path).open("rb") as file, _parsed(file) as opened:
        _refuse_bombs(archive, opened.infolist())
        yield opened


def _parsed(file: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except NotImplementedError as error:
        raise ArchiveError("a zip file of a kind that cannot be read") from error
    except (*_BROKEN, OSError) as error:
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
        return datetime(*member.date_time, tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def _read_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo, item: Item) -> Item:
    """Return the member with its content, or with what is wrong with it; it is within the limit."""
    if member.flag_bits & _ENCRYPTED:
        return dataclasses.replace(item, error="the member is encrypted")
    chunk = CHUNK if member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else _CHUNK_UNBOUNDED
    try:
        with opened.open(member) as stream:
            content = read_at_most(stream, member.file_size, chunk)
    except NotImplementedError:
        return dataclasses.replace(item, error="the member's compression is not supported")
    except (*_BROKEN, OSError) as error:
        return dataclasses.replace(item, error=f"the member is damaged ({reason(error)})")
    if len(content) != member.file_size:
        return dataclasses.replace(item, error="the member is damaged (its length is not what the archive says)")
    return dataclasses.replace(item, content=content)
