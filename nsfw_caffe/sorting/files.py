"""Files made in a way that never overwrites another and never shows half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.model_file import file_sha256
from nsfw_caffe.results.record import Record
from nsfw_caffe.sources.reopening import Sources, SourceUnusable

CHANGED = "it has changed since it was scored"

_NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system without hard links says of them, one whose file has too many, and one that is not the target's."""


def check_file(record: Record) -> os.stat_result:
    """Return the status of a source that is a file, and is what was scored.

    Raises
    ------
    SourceUnusable
        It is not there, or not what it was.
    """
    try:
        status = os.stat(record.source)  # noqa: PTH116 - a name is not to be normalised
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceUnusable("it has gone") from error
    except OSError as error:
        raise SourceUnusable(f"it cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise SourceUnusable("not a regular file")
    if not _is_as_scored(status, record):
        raise SourceUnusable(CHANGED)
    return status


def has_content(path: Path, record: Record) -> bool:
    """Tell whether a path is a file, and no link to one, whose bytes are those that were scored."""
    try:
        status = path.lstat()
        return stat.S_ISREG(status.st_mode) and status.st_size == record.bytes and file_sha256(path) == record.sha256
    except (OSError, ModelError):
        return False


def copy(record: Record, target: Path, sources: Sources) -> None:
    """Copy a source's content, times and mode to a path where nothing is.

    Raises
    ------
    SourceUnusable
        The content is not there, or not what was scored.
    OSError
        The target cannot be written; FileExistsError where there is one.
    """
    with _part(target) as part:
        with part.open("xb") as output:
            digest, count = sha256(), 0
            for chunk in sources.chunks(record.source):
                count += len(chunk)
                # A bomb that took the source's place is not to fill the disk.
                if count > (record.bytes or 0):
                    raise SourceUnusable(CHANGED)
                digest.update(chunk)
                output.write(chunk)
            output.flush()
            os.fsync(output.fileno())
        if count != record.bytes or digest.hexdigest() != record.sha256:
            raise SourceUnusable(CHANGED)
        _copy_times(record, part)
        _publish(part, target)


def move(record: Record, target: Path, sources: Sources) -> None:
    """Move a source that is a file to a path where nothing is.

    On one file system the file gets its new name, is read, and then loses the old one. Between two it is copied, read
    again and forced to the disk before the source is removed.

    Raises
    ------
    SourceUnusable, OSError
        As for `copy`; the source is still there then.
    """
    status = check_file(record)
    try:
        os.link(record.source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        copy(record, target, sources)
        finish_move(record, target)
        return
    if not os.path.samestat(status, target.lstat()) or not has_content(target, record):
        target.unlink()
        raise SourceUnusable(CHANGED)
    _remove(record, status)


def finish_move(record: Record, target: Path) -> None:
    """Remove a source whose content is at its target, once both have been read and the target is on the disk.

    Raises
    ------
    SourceUnusable
        The source is the very same entry as the target, or one of them does not have the content that was scored.
    """
    status = check_file(record)
    if same_entry(Path(record.source), target):
        raise SourceUnusable("the target is the source itself")
    if not has_content(Path(record.source), record) or not has_content(target, record):
        raise SourceUnusable(CHANGED)
    for path in (target, target.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    _remove(record, status)


def _remove(record: Record, checked: os.stat_result) -> None:
    source = Path(record.source)
    now = source.lstat()
    # Only the file that was checked is removed, not one that has taken its place.
    if not os.path.samestat(now, checked) or now.st_mtime_ns != checked.st_mtime_ns:
        raise SourceUnusable("another file has taken its place, which was left there")
    source.unlink()


def same_entry(one: Path, other: Path) -> bool:
    """Tell whether two paths are one name of one file, so that removing one would remove the other."""
    status = one.lstat()
    if not os.path.samestat(status, other.lstat()):
        return False
    # The same folder may be reached by several paths, and on some file systems a name in capitals is the same name.
    folders_are_one = os.path.samestat(one.parent.stat(), other.parent.stat())
    return status.st_nlink == 1 or (folders_are_one and one.name.casefold() == other.name.casefold())


def _is_as_scored(status: os.stat_result, record: Record) -> bool:
    return status.st_size == record.bytes and record.mtime in (None, status.st_mtime)


@contextlib.contextmanager
def _part(target: Path) -> Iterator[Path]:
    """Name a file beside the target to write to, which is gone afterwards."""
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _copy_times(record: Record, part: Path) -> None:
    if os.path.isfile(record.source):  # noqa: PTH113 - a name is not to be normalised
        shutil.copystat(record.source, part)
    elif record.mtime is not None:
        # An archive may give its members times that no file can have.
        with contextlib.suppress(OSError, OverflowError):
            os.utime(part, (record.mtime, record.mtime))


def _publish(part: Path, target: Path) -> None:
    """Give a finished file its name; FileExistsError where there is a file of that name."""
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without hard links: the name is taken first, by whoever comes first, and then the file put in its place.
        target.open("xb").close()
        part.replace(target)
