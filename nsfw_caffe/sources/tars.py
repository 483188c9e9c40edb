"""Tar files, compressed or not, from front to back."""

from __future__ import annotations

import dataclasses
import math
import tarfile
from collections.abc import Iterator
from typing import IO, cast

from nsfw_caffe.sources.archive import (
    BROKEN_STRUCTURE,
    CHUNK,
    LEADS_OUT,
    STOPS_EARLY,
    Archive,
    ArchiveError,
    Known,
    UniqueNames,
    damaged,
    leads_out,
    member_source,
    open_file,
    read_at_most,
    without_reading,
)
from nsfw_caffe.sources.decompression import MOST_HEADERS, Unpacked
from nsfw_caffe.sources.item import Item
from nsfw_caffe.sources.selection import Selection


def read_tar(archive: Archive, selection: Selection, known: Known) -> Iterator[Item]:
    """Read a tar file's members, in their order; see `find_items`.

    Raises
    ------
    ArchiveError
        If it cannot be opened, is not a tar file, breaks off, or must not be unpacked; what came before that stays.
    """
    with open_file(archive) as file:
        unpacked = Unpacked(archive, file)
        names = UniqueNames()
        for opened, member in _members(unpacked):
            if not member.isreg() or not selection.takes_member(member.name):
                continue
            mtime = float(member.mtime) if math.isfinite(member.mtime) else None
            item = Item(member_source(archive, names.take(member.name)), member.size, mtime)
            if leads_out(member.name):
                yield dataclasses.replace(item, error=LEADS_OUT)
            else:
                yield without_reading(item, selection, known) or _read_member(opened, member, item)


class _Header(tarfile.TarInfo):
    """A header that says so when it is damaged: a TarFile takes that for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        if len(buf) < tarfile.BLOCKSIZE:
            # Every archive ends with blocks of zeros, so one that just ends has been cut.
            raise damaged(STOPS_EARLY)
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not any(buf):
                raise
            raise damaged(BROKEN_STRUCTURE) from error


def _members(unpacked: Unpacked) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield each member, which may be read until the next one is asked for."""
    unpacked.allow(MOST_HEADERS)
    try:
        # Of a stream, tarfile calls only read. The names' encoding must not depend on the machine.
        file = cast("IO[bytes]", unpacked)
        with tarfile.open(fileobj=file, mode="r|", tarinfo=_Header, encoding="utf-8") as opened:
            while (member := opened.next()) is not None:
                if member.size < 0:
                    raise damaged(BROKEN_STRUCTURE)
                unpacked.allow(None)
                yield opened, member
                opened.members.clear()  # type: ignore[attr-defined]  # else every header is kept
                unpacked.allow(_distance(opened) + MOST_HEADERS)
    except ArchiveError:
        raise
    except Exception as error:  # what tarfile raises for a damaged archive is no closed list
        raise damaged(BROKEN_STRUCTURE) from error
    unpacked.allow(None)
    # A checksum stands at the very end of what is compressed.
    while unpacked.compressed and unpacked.read(CHUNK):
        pass


def _distance(opened: tarfile.TarFile) -> int:
    """Return how many bytes of the member are still to be read, or passed over."""
    assert opened.fileobj is not None
    return max(0, opened.offset - opened.fileobj.tell())


def _read_member(opened: tarfile.TarFile, member: tarfile.TarInfo, item: Item) -> Item:
    """Return the member with its content; it is a regular one, within the limit."""
    stream = opened.extractfile(member)
    assert stream is not None
    try:
        return dataclasses.replace(item, content=read_at_most(stream, member.size))
    except tarfile.TarError as error:
        raise damaged(STOPS_EARLY) from error
