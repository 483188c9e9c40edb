"""Finding what to scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from nsfw_caffe.sources.archive import Archive, Known
from nsfw_caffe.sources.archives import count_members, is_warc, read_archive
from nsfw_caffe.sources.item import Item
from nsfw_caffe.sources.selection import Selection
from nsfw_caffe.sources.walk import Visited, walk
from nsfw_caffe.sources.warc import require_warcio


def find_items(sources: Iterable[str], selection: Selection, known: Known) -> Iterator[Item]:
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
    known : callable
        Gets an archive's member as an item without content, before it is read. If it returns True, the item is given
        as it is.

    Yields
    ------
    Item
        A file with its `path`, unread; or an archive's member with its `content`; or with an `error`.

    Raises
    ------
    ResultsError
        If warcio is not installed and `sources` is a list or tuple that names a WARC file: at once. A WARC file that
        is come across later is an item with that error instead, because the search may have taken hours by then.
    """
    check_sources(sources)
    return _find(sources, selection, known)


def check_sources(sources: Iterable[str]) -> None:
    """Find out before a scan whether something that it needs for its sources is missing; see `find_items`."""
    if isinstance(sources, Sequence) and any(map(is_warc, sources)):
        require_warcio()


def _find(sources: Iterable[str], selection: Selection, known: Known) -> Iterator[Item]:
    visited: Visited = set()
    for source in sources:
        for found in walk(source, selection, visited):
            if isinstance(found, Archive):
                yield from read_archive(found, selection, known)
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
