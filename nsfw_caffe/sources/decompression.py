"""The bytes of a file that may be compressed as a whole, with limits."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from typing import BinaryIO

from nsfw_caffe.sources.archive import Archive, Reader, bomb, damaged, reason

MOST_HEADERS = 1 << 22
"""4 MiB: how much may be read for one member's headers. tarfile and warcio gather them in memory, however long."""


def _magic(file: BinaryIO) -> bytes:
    try:
        magic = file.read(6)
        file.seek(0)
    except OSError as error:
        raise damaged(reason(error)) from error
    return magic


class Unpacked:
    """A compressed file's content, read once, from its beginning.

    What the file begins with decides how it is unpacked, not its name: a .tar or .warc may be compressed all the same.

    Parameters
    ----------
    archive : Archive
        The file; its size is what the limit depends on.
    file : binary file object
        The same, open, at its beginning.

    Raises
    ------
    ArchiveError
        If it cannot be read.
    """

    def __init__(self, archive: Archive, file: BinaryIO) -> None:
        self._stream: Reader = file
        self._left = archive.most_unpacked()
        self._allowed: int | None = None
        magic = _magic(file)
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
        """Return at most so many bytes; none at the end.

        Raises
        ------
        ArchiveError
            If the file is damaged, more than what is allowed is read, or it unpacks to far too much.
        """
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
