"""The content that a row of results names: a file's, or that of a member of a zip or tar archive."""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from nsfw_caffe.sources.archive import UniqueNames, is_archive, is_warc
from nsfw_caffe.system.reading import NOT_REGULAR, open_file, reason

GONE = "it has gone"
CHANGED = "it has changed since it was scored"

_CHUNK = 1 << 20
_ZIP_CHUNK = 1 << 12  # zipfile unpacks all of what it has read of bzip2 and LZMA, so it gets little at a time

_Open = Callable[[], IO[bytes] | None]


class SourceUnusable(Exception):  # noqa: N818 - a state, named as one
    """What a row names is not there any more, or not fit for what is wanted; the message says why, without the name."""


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

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def chunks(self, source: str) -> Iterator[bytes]:
        """Yield the content of a source, a part at a time; SourceUnusable if it is there no more, or cannot be read."""
        try:
            with self._open(source) as content:
                size = _ZIP_CHUNK if isinstance(content, zipfile.ZipExtFile) else _CHUNK
                while chunk := content.read(size):
                    yield chunk
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceUnusable(GONE) from error
        except SourceUnusable:
            raise
        except Exception as error:  # what zipfile and tarfile raise for a damaged archive is no closed list
            raise SourceUnusable(f"it cannot be read ({reason(error)})") from error

    def _open(self, source: str) -> IO[bytes]:
        parts = split_member(source)
        if parts is None:
            return open_file(source)
        archive, member = parts
        if archive != self._archive:
            self._closing.close()
            self._archive, self._members = None, {}
            names = UniqueNames()
            self._members = {
                names.take(name).replace("\0", "\N{REPLACEMENT CHARACTER}"): opener
                for name, opener in self._index(archive)
            }
            self._archive = archive
        opened = self._members[member]() if member in self._members else None
        if opened is None:
            raise SourceUnusable("the archive has no such member any more")
        return opened

    def _index(self, archive: str) -> Iterable[tuple[str, _Open]]:
        if is_warc(archive):
            raise SourceUnusable("a WARC has no names of members to go by")
        file = self._closing.enter_context(open_file(archive))
        if archive.lower().endswith(".zip"):
            zipped = self._closing.enter_context(zipfile.ZipFile(file))
            return [(info.filename, _opener(zipped.open, info)) for info in zipped.infolist() if not info.is_dir()]
        opened = tarfile.open(fileobj=file, encoding="utf-8")  # noqa: SIM115 - closed with the stack
        tarred = self._closing.enter_context(opened)
        return [(info.name, _opener(tarred.extractfile, info)) for info in tarred.getmembers() if info.isreg()]


def check_unchanged(path: str, size: int | None, mtime: float | None) -> os.stat_result:
    """Return the status of a file; SourceUnusable where it is not there, or not of this size and time."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a name is not to be normalised
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceUnusable(GONE) from error
    except OSError as error:
        raise SourceUnusable(f"it cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise SourceUnusable(NOT_REGULAR)
    if status.st_size != size or mtime not in (None, status.st_mtime):
        raise SourceUnusable(CHANGED)
    return status


def split_member(source: str) -> tuple[str, str] | None:
    """Split ``archive!member`` where the archive is; None for a source that is a file, or nothing that is here."""
    if os.path.lexists(source):
        return None
    return next((parts for parts in possible_members(source) if Path(parts[0]).is_file()), None)


def possible_members(source: str) -> Iterator[tuple[str, str]]:
    """Yield every way to split a source into an archive, by its ending, and a member, whatever there is."""
    for index, character in enumerate(source):
        if character == "!" and is_archive(source[:index]):
            yield source[:index], source[index + 1 :]


def _opener(open_member: Callable[..., IO[bytes] | None], info: zipfile.ZipInfo | tarfile.TarInfo) -> _Open:
    return lambda: open_member(info)
