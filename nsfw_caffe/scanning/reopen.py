"""The content that a row of results names: a file's, or that of a member of a zip or tar archive."""

from __future__ import annotations

import contextlib
import errno
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

_WARC = (".warc", ".warc.gz")
ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", *_WARC)

_CHUNK = 1 << 20

_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,  # a way of compression that zipfile lacks
    RuntimeError,  # a password is needed
    ValueError,  # a name that is no UTF-8, a field that is no number
)
"""What zipfile and tarfile raise for an archive that they cannot read, besides OSError."""

_Open = Callable[[], IO[bytes] | None]


class SourceGone(Exception):  # noqa: N818 - a state, named as one
    """A source cannot be read any more; the message says why and does not name it."""


class Sources:
    """Reads sources by their names, and keeps the last archive open: rows come in the order of its members.

    It is a context manager, which closes the archive. Its memory grows with the number of members of one archive.
    """

    def __init__(self) -> None:
        self._archive: str | None = None
        self._members: dict[str, _Open] = {}
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Sources:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def chunks(self, source: str) -> Iterator[bytes]:
        """Yield the content of a source, a part at a time.

        Raises
        ------
        SourceGone
            It is there no more, or cannot be read.
        """
        try:
            with self._open(source) as content:
                while chunk := content.read(_CHUNK):
                    yield chunk
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceGone("it has gone") from error
        except OSError as error:
            raise SourceGone(f"it cannot be read ({error.strerror or error})") from error
        except _DAMAGED as error:
            raise SourceGone(f"it cannot be read ({str(error) or type(error).__name__})") from error

    def _open(self, source: str) -> IO[bytes]:
        parts = split_member(source)
        if parts is None:
            return _open_file(source)
        archive, member = parts
        if archive != self._archive:
            self._closing.close()
            self._archive, self._members = None, {}
            self._members = dict(_labelled(self._index(archive)))
            self._archive = archive
        opened = self._members[member]() if member in self._members else None
        if opened is None:
            raise SourceGone("the archive has no such member any more")
        return opened

    def _index(self, archive: str) -> Iterable[tuple[str, _Open]]:
        if archive.lower().endswith(_WARC):
            raise SourceGone("a WARC has no names of members to go by")
        file = self._closing.enter_context(_open_file(archive))
        if archive.lower().endswith(".zip"):
            zipped = self._closing.enter_context(zipfile.ZipFile(file))
            return [(info.filename, _opener(zipped.open, info)) for info in zipped.infolist() if not info.is_dir()]
        tarred = self._closing.enter_context(tarfile.open(fileobj=file))  # noqa: SIM115 - closed with the stack
        return [(info.name, _opener(tarred.extractfile, info)) for info in tarred.getmembers() if info.isreg()]


def split_member(source: str) -> tuple[str, str] | None:
    """Split ``archive!member`` at the archive; None for a source that is a file, or nothing that is here."""
    if os.path.lexists(source):
        return None
    for index, character in enumerate(source):
        archive = source[:index]
        if character == "!" and archive.lower().endswith(ARCHIVE_ENDINGS) and Path(archive).is_file():
            return archive, source[index + 1 :]
    return None


def _open_file(path: str) -> IO[bytes]:
    # Not blocking, so that a pipe that has taken the file's place does not hang.
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file")
    return file


def _opener(open_member: Callable[..., IO[bytes] | None], info: zipfile.ZipInfo | tarfile.TarInfo) -> _Open:
    return lambda: open_member(info)


def _labelled(members: Iterable[tuple[str, _Open]]) -> Iterator[tuple[str, _Open]]:
    """Yield members under their names in the results: a name that comes again has #2, #3 at its end."""
    seen: Counter[str] = Counter()
    for name, opener in members:
        seen[name] += 1
        yield (name if seen[name] == 1 else f"{name}#{seen[name]}"), opener
