"""Tar files, compressed or not, from front to back."""

from __future__ import annotations

import functools
import math
import tarfile
from collections.abc import Iterator
from typing import IO, Self, cast

from nsfw_caffe.sources.archive import (
    BROKEN_STRUCTURE,
    CHUNK,
    MOST_HEADERS,
    STOPS_EARLY,
    Archive,
    Decompressed,
    UniqueNames,
    damaged,
    leads_out,
    member_item,
    member_source,
    open_file,
    read_at_most,
)
from nsfw_caffe.sources.item import ArchiveError, Item
from nsfw_caffe.sources.selection import Selection


def read_tar(archive: Archive, selection: Selection) -> Iterator[Item]:
    """Read a tar file's members, in their order; see `find_items`.

    ArchiveError if it is no tar file, breaks off, or must not be decompressed; what came before that stays.
    """
    with open_file(archive) as file:
        decompressed = Decompressed(archive, file)
        names = UniqueNames()
        for opened, member in _members(decompressed):
            if not member.isreg() or not selection.takes_member(member.name):
                continue
            mtime = float(member.mtime) if math.isfinite(member.mtime) else None
            source = member_source(archive, names.take(member.name))
            read = functools.partial(_read_member, opened, member)
            refused = leads_out(member.name)
            yield member_item(source, member.size, mtime, read, selection.max_bytes, refused=refused)


_CUT = ("empty header", "truncated header")
"""What tarfile says of a header that the file ends before or in, of one that follows another too."""


class _Header(tarfile.TarInfo):
    """A header that says so when it is damaged: a TarFile takes that for the archive's end."""

    @classmethod
    def fromtarfile(cls, opened: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(opened)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # typeshed does not know it
            raise  # every archive ends with blocks of zeros
        except tarfile.HeaderError as error:
            raise damaged(STOPS_EARLY if str(error) in _CUT else BROKEN_STRUCTURE) from error


def _members(decompressed: Decompressed) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield each member, which may be read until the next one is asked for."""
    decompressed.allow(MOST_HEADERS)
    try:
        # Of a stream, tarfile calls only read. The names' encoding must not depend on the machine.
        file = cast("IO[bytes]", decompressed)
        with tarfile.open(fileobj=file, mode="r|", tarinfo=_Header, encoding="utf-8") as opened:
            while (member := opened.next()) is not None:
                if member.size < 0:
                    raise damaged(BROKEN_STRUCTURE)
                decompressed.allow(None)
                yield opened, member
                opened.members.clear()  # type: ignore[attr-defined]  # else every header is kept
                decompressed.allow(_distance(opened) + MOST_HEADERS)
    except ArchiveError:
        raise
    except Exception as error:  # what tarfile raises for a damaged archive is no closed list
        raise damaged(BROKEN_STRUCTURE) from error
    decompressed.allow(None)
    # A checksum stands at the very end of what is compressed.
    while decompressed.compressed and decompressed.read(CHUNK):
        pass


def _distance(opened: tarfile.TarFile) -> int:
    """Return how many bytes of the member are still to be read, or passed over."""
    assert opened.fileobj is not None
    return max(0, opened.offset - opened.fileobj.tell())


def _read_member(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return the content of a member that is a regular one, within the limit."""
    stream = opened.extractfile(member)
    assert stream is not None
    try:
        return read_at_most(stream, member.size)
    except tarfile.TarError as error:
        raise damaged(STOPS_EARLY) from error
