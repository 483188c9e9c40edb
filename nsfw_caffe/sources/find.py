"""Finding what to scan: in lists, folders and archives."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.sources.archive import WARC, ZIP, Archive, is_warc
from nsfw_caffe.sources.item import ArchiveError, Item
from nsfw_caffe.sources.selection import Selection
from nsfw_caffe.sources.tars import read_tar
from nsfw_caffe.sources.walk import Visited, walk
from nsfw_caffe.sources.warc import read_warc, require_warcio
from nsfw_caffe.sources.zips import count_zip, read_zip

_CHUNK = 1 << 16
_LONGEST = 1 << 20  # no path is near as long; a file that is no list must not be gathered into memory


def find_items(sources: Iterable[str], selection: Selection) -> Iterator[Item]:
    """Find the pictures in files, folders and archives, with little in memory; `sources` may be endless.

    What is wrong with a source is the `error` of its item; a member can be read until the next item is asked for. If a
    list or tuple names a WARC file and warcio is missing, a ResultsError comes at once: a search may take hours.
    """
    check_sources(sources)
    return _find(sources, selection)


def check_sources(sources: Iterable[str]) -> None:
    """Find out before a scan whether something that it needs for its sources is missing; see `find_items`."""
    if isinstance(sources, Sequence) and any(map(is_warc, sources)):
        require_warcio()


def _find(sources: Iterable[str], selection: Selection) -> Iterator[Item]:
    visited: Visited = set()
    for source in sources:
        for found in walk(source, selection, visited):
            if isinstance(found, Archive):
                yield from read_archive(found, selection)
            else:
                yield found


def count_items(sources: Sequence[str], selection: Selection) -> int | None:
    """Count what `find_items` would give, from the folders and the zip files' directories alone.

    None if there is an archive among them that has to be read to know its members.
    """
    count = 0
    visited: Visited = set()
    for source in sources:
        for found in walk(source, selection, visited):
            members = count_members(found, selection) if isinstance(found, Archive) else 1
            if members is None:
                return None
            count += members
    return count


def read_archive(archive: Archive, selection: Selection) -> Iterator[Item]:
    """Yield an archive's members and, if it cannot be read to its end, an item for the archive itself."""
    try:
        reader = _reader(archive)
    except ResultsError as error:
        yield archive.failed(str(error))
        return
    try:
        for item in reader(archive, selection):
            member = None if item.member is None else _Member(item.member)
            yield dataclasses.replace(item, member=member)
            if member is not None and member.error is not None:
                raise member.error
    except ArchiveError as error:
        yield archive.failed(str(error))


def count_members(archive: Archive, selection: Selection) -> int | None:
    """Return how many items `read_archive` gives; None where the archive would have to be read to know."""
    if not archive.path.lower().endswith(ZIP):
        return None
    try:
        return count_zip(archive, selection)
    except ArchiveError:
        return 1


class _Member:
    """Reads a member, and keeps the error that ends its archive: whoever reads it need not tell anybody."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self.error: ArchiveError | None = None

    def __call__(self) -> bytes:
        try:
            return self._read()
        except ArchiveError as error:
            self.error = error
            raise


def _reader(archive: Archive) -> Callable[[Archive, Selection], Iterator[Item]]:
    lower = archive.path.lower()
    if lower.endswith(ZIP):
        return read_zip
    if lower.endswith(WARC):
        require_warcio()
        return read_warc
    return read_tar


def read_list(stream: BinaryIO, *, nul: bool = False) -> Iterator[str]:
    r"""Read a list of paths while it is being written; each ends with a NUL, or with ``\n`` or ``\r\n``.

    Bytes that are no UTF-8 become surrogates, and empty paths are left out. ValueError if a path would be longer than
    1 MiB: the file is no such list.
    """
    for entry in _split(stream, b"\0" if nul else b"\n"):
        path = entry if nul else entry.removesuffix(b"\r")
        if path:
            yield os.fsdecode(path)


def _split(stream: BinaryIO, end: bytes) -> Iterator[bytes]:
    rest = b""
    # read1 gives what a pipe holds so far, where read would wait for a whole chunk.
    read = getattr(stream, "read1", stream.read)
    while chunk := read(_CHUNK):
        *entries, rest = (rest + chunk).split(end)
        yield from entries
        if len(rest) > _LONGEST:
            raise ValueError("not a list of paths: one of them would be longer than 1 MiB")
    yield rest
