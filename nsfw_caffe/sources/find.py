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
    """Find the pictures in files, folders and archives, one after the other, with little in memory.

    Archives are known by their names: .zip; .tar, .tar.gz, .tgz, .tar.bz2, .tbz2, .tar.xz, .txz; .warc, .warc.gz. They
    are read as streams, and an archive in an archive is a member like any other. What is wrong with a source is told in
    the `error` of its item and ends nothing; what an archive gave before it turned out to be damaged stays.

    Parameters
    ----------
    sources : iterable of str
        Files, folders and archives; it is read as the search goes on and may be endless. The files of a folder come
        by name, and a folder that is in several sources comes once.
    selection : Selection
        What of the folders and archives is wanted.

    Yields
    ------
    Item
        A file, an archive's member, or something with an `error`; nothing has been read. A member can be read until the
        next item is asked for, and one that is not read costs what passing it over takes.

    Raises
    ------
    ResultsError
        If warcio is not installed and `sources` is a list or tuple that names a WARC file: at once. A WARC file that
        is come across later is an item with that error instead, because the search may have taken hours by then.
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

    Parameters
    ----------
    sources : sequence of str
        As for `find_items`.
    selection : Selection
        As for `find_items`.

    Returns
    -------
    int or None
        The number of items; None if there is an archive among them that has to be read to know its members.
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
    r"""Read a list of paths, one a line, while it is being written.

    Parameters
    ----------
    stream : binary file object
        The list. Paths are bytes; those that are no UTF-8 are kept as Python keeps them, with surrogates.
    nul : bool, default False
        Each path ends with a NUL, as ``find -print0`` writes them, and not with a line end (``\n`` or ``\r\n``).

    Yields
    ------
    str
        The paths, in order; empty ones are left out.

    Raises
    ------
    ValueError
        If a path would be longer than 1 MiB: the file is no such list.
    """
    for entry in _split(stream, b"\0") if nul else _lines(stream):
        if entry:
            yield os.fsdecode(entry)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    for line in _split(stream, b"\n"):
        yield line.removesuffix(b"\r")


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
