"""What every kind of archive has in common: its name, its members' names, limits, decompression, errors."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from nsfw_caffe.sources.item import ArchiveError, Item
from nsfw_caffe.system import reading

ZIP = (".zip",)
TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
WARC = (".warc", ".warc.gz")

CHUNK = 1 << 16
"""How many bytes are read at a time."""
MOST_UNPACKED = 1 << 30
"""1 GiB: below that, unpacking takes seconds, and nothing of it is kept, so any ratio will do."""
MOST_HEADERS = 1 << 22
"""4 MiB: how much may be read for one member's headers. tarfile and warcio gather them in memory, however long."""
MOST_TIMES = 100
"""Pictures are compressed already; even a folder of bitmaps does not shrink to a hundredth. zlib reaches 1000 times."""
STOPS_EARLY = "it stops too early"
BROKEN_STRUCTURE = "its structure is broken"

# Absolute as Unix or Windows sees it, or with a part that leads upwards.
_LEADS_OUT = re.compile(r"[/\\]|[A-Za-z]:|(.*[/\\])?\.\.([/\\]|$)", re.DOTALL)


def is_archive(path: str) -> bool:
    """Return whether a file's name says that it is an archive."""
    return path.lower().endswith(ZIP + TAR + WARC)


def without_ending(name: str) -> str:
    """Return an archive's name without what makes it one: photos of photos.tar.gz."""
    endings = [ending for ending in ZIP + TAR + WARC if name.lower().endswith(ending)]
    return name[: -max(map(len, endings))] if endings else name


def is_warc(path: str) -> bool:
    """Return whether a file's name says that it is a WARC file."""
    return path.lower().endswith(WARC)


@dataclass(frozen=True)
class Archive:
    """A file whose name says that it is an archive."""

    path: str  # also its name in the results
    size: int  # bytes
    mtime: float  # seconds since 1970 (UTC)

    def failed(self, error: str) -> Item:
        """Return what is reported in place of the members that were not read."""
        return Item(self.path, self.size, self.mtime, error=error)

    def most_unpacked(self) -> int:
        """Return how many bytes it may unpack to before it is taken for a bomb."""
        return max(MOST_UNPACKED, MOST_TIMES * self.size)


@contextlib.contextmanager
def open_file(archive: Archive) -> Iterator[BinaryIO]:
    """Open an archive's file; an ArchiveError is raised if that cannot be done."""
    try:
        file = reading.open_file(archive.path)
    except (OSError, ValueError) as error:
        raise ArchiveError(f"cannot be read ({reason(error)})") from error
    with file:
        yield file


class Reader(Protocol):
    """What a file's content is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""


class Decompressed:
    """A compressed file's content, read once, from its beginning; ArchiveError if it cannot be read.

    What the file begins with decides how it is unpacked, not its name: a .tar or .warc may be compressed all the same.
    """

    def __init__(self, archive: Archive, file: BinaryIO) -> None:
        self._stream: Reader = file
        self._left = archive.most_unpacked()
        self._allowed: int | None = None
        try:
            magic = file.read(6)
            file.seek(0)
        except OSError as error:
            raise damaged(reason(error)) from error
        self.compressed = True
        if magic.startswith(b"\x1f\x8b"):
            self._stream = gzip.GzipFile(fileobj=file)
        elif magic.startswith(b"BZh"):
            self._stream = bz2.BZ2File(file)
        elif magic == b"\xfd7zXZ\x00":
            self._stream = lzma.LZMAFile(file)  # noqa: SIM115 - it lives as long as the file
        else:
            self.compressed = False

    def allow(self, count: int | None) -> None:
        """Set how many bytes may be read from now on, to about what is read at a time; None for any number."""
        self._allowed = count

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; ArchiveError where there are more than allowed, or than it may unpack to."""
        if self._allowed is not None and self._allowed <= 0:
            raise damaged("a member's headers are too long")
        if self._left <= 0:
            raise bomb()
        try:
            piece = self._stream.read(size)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise damaged(reason(error)) from error
        self._left -= len(piece)
        if self._allowed is not None:
            self._allowed -= len(piece)
        return piece


class UniqueNames:
    """Tells members of the same name apart: the second "a" becomes "a#2"."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return the name, or what is used in its place if it has been taken."""
        unique = name
        while unique in self._times:
            self._times[name] += 1
            unique = f"{name}#{self._times[name]}"
        self._times[unique] = 1
        return unique


def member_source(archive: Archive, name: str) -> str:
    """Return a member's name in the results, which cannot hold a NUL everywhere."""
    return f"{archive.path}!{name}".replace("\0", "\N{REPLACEMENT CHARACTER}")


def member_item(
    source: str, size: int | None, mtime: float | None, read: Callable[[], bytes], most: int, *, refused: bool = False
) -> Item:
    """Return a member as an item; it has an error where its name is refused, or it has more than `most` bytes."""
    if refused:
        return Item(source, size, mtime, error="refused: the member's name leads out of the archive")
    if size is not None and size > most:
        return Item(source, size, mtime, error=too_large(most))
    return Item(source, size, mtime, member=read)


def leads_out(name: str) -> bool:
    """Return whether a member of this name would be unpacked to somewhere else, or to a file of another name."""
    return "\0" in name or _LEADS_OUT.match(name) is not None


def read_at_most(stream: Reader, limit: int) -> bytes:
    """Read to the end, or until there are more than `limit` bytes, whatever a header says that there would be."""
    content = io.BytesIO()
    while content.tell() <= limit and (piece := stream.read(min(CHUNK, limit + 1 - content.tell()))):
        content.write(piece)
    return content.getvalue()


def too_large(limit: int) -> str:
    """Return what is said of a file or member that is larger than `limit` bytes."""
    return f"larger than the limit of {limit} bytes (Limits.bytes, --max-size)"


def damaged(why: str) -> ArchiveError:
    """Return the error for an archive that is none, or that breaks off."""
    return ArchiveError(f"the archive is damaged ({why})")


def bomb() -> ArchiveError:
    """Return the error for an archive that unpacks to far too much."""
    return ArchiveError(f"refused: it unpacks to more than {MOST_TIMES} times its size, as a bomb does")


def reason(error: Exception) -> str:
    """Say in a few words what a foreign error means; its own message may hold the file's name."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, EOFError):
        return STOPS_EARLY
    if isinstance(error, (OSError, zlib.error, lzma.LZMAError)):  # gzip and bz2 raise OSError without a number
        return "its compressed data is broken"
    return BROKEN_STRUCTURE
