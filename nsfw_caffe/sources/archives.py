"""Which files are archives, and what reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.sources.archive import Archive, ArchiveError, Known
from nsfw_caffe.sources.item import Item
from nsfw_caffe.sources.selection import Selection
from nsfw_caffe.sources.tars import read_tar
from nsfw_caffe.sources.warc import read_warc, require_warcio
from nsfw_caffe.sources.zips import count_zip, read_zip

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_WARC = (".warc", ".warc.gz")


def is_archive(path: str) -> bool:
    """Return whether a file's name says that it is an archive."""
    return path.lower().endswith(_ZIP + _TAR + _WARC)


def is_warc(path: str) -> bool:
    """Return whether a file's name says that it is a WARC file."""
    return path.lower().endswith(_WARC)


def read_archive(archive: Archive, selection: Selection, known: Known) -> Iterator[Item]:
    """Yield an archive's members and, if it cannot be read to its end, an item for the archive itself."""
    try:
        reader = _reader(archive)
    except ResultsError as error:
        yield archive.failed(str(error))
        return
    # Nothing else is caught: it would be an error of `known`, and not the archive's.
    try:
        yield from reader(archive, selection, known)
    except ArchiveError as error:
        yield archive.failed(str(error))


def count_members(archive: Archive, selection: Selection) -> int | None:
    """Return how many items `read_archive` gives; None where the archive would have to be read to know."""
    if not archive.path.lower().endswith(_ZIP):
        return None
    try:
        return count_zip(archive, selection)
    except ArchiveError:
        return 1


def _reader(archive: Archive) -> Callable[[Archive, Selection, Known], Iterator[Item]]:
    lower = archive.path.lower()
    if lower.endswith(_ZIP):
        return read_zip
    if lower.endswith(_WARC):
        require_warcio()
        return read_warc
    return read_tar
