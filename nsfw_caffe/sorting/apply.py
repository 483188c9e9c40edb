"""Moving, copying or linking a source to its target: no file is overwritten, none half written, none lost."""

from __future__ import annotations

import contextlib
import os
import shutil
from hashlib import sha256
from pathlib import Path

from nsfw_caffe.results.record import Record
from nsfw_caffe.sorting.plan import Action
from nsfw_caffe.sorting.preview import Outcome, attempt, check_file, check_two_entries, has_content, preview
from nsfw_caffe.sources.reopening import CHANGED, Sources, SourceUnusable
from nsfw_caffe.system.files import creating, force_to_disk, link


def apply(record: Record, target: Path, action: Action, sources: Sources) -> Outcome:
    """Move, copy or link a source to its target, whose folder is made; the outcome is "done", "before" or "skipped"."""
    return attempt(lambda: _apply(record, target, action, sources), target)


def _apply(record: Record, target: Path, action: Action, sources: Sources) -> Outcome:
    outcome = preview(record, target, action)
    if outcome.state != "ready":
        return outcome
    target.parent.mkdir(parents=True, exist_ok=True)
    if action == "link":
        target.symlink_to(os.path.abspath(record.source))  # noqa: PTH100 - resolve would follow links
    elif action == "copy":
        copy(record, target, sources)
    elif os.path.lexists(target):
        finish_move(record, target)
    else:
        move(record, target, sources)
    return Outcome("done")


def copy(record: Record, target: Path, sources: Sources) -> None:
    """Copy a source's content, times and mode to a path where nothing is; SourceUnusable where it has changed."""
    with creating(target) as part:
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


def move(record: Record, target: Path, sources: Sources) -> None:
    """Move a source that is a file to a path where nothing is; whatever it raises, the source is still there."""
    # On one file system the file gets its new name, is read, and then loses the old one. Between two it is copied, read
    # again and forced to the disk before the source is removed.
    status = check_file(record)
    if not link(record.source, target):
        copy(record, target, sources)
        finish_move(record, target)
        return
    if not os.path.samestat(status, target.lstat()) or not has_content(target, record):
        target.unlink()
        raise SourceUnusable(CHANGED)
    _remove(record, status)


def finish_move(record: Record, target: Path) -> None:
    """Remove a source whose content is at its target, once both have been read and the target is on the disk."""
    status = check_file(record)
    check_two_entries(Path(record.source), target)
    if not has_content(Path(record.source), record) or not has_content(target, record):
        raise SourceUnusable(CHANGED)
    force_to_disk(target)
    force_to_disk(target.parent)
    _remove(record, status)


def _remove(record: Record, checked: os.stat_result) -> None:
    source = Path(record.source)
    now = source.lstat()
    # Only the file that was checked is removed, not one that has taken its place.
    if not os.path.samestat(now, checked) or now.st_mtime_ns != checked.st_mtime_ns:
        raise SourceUnusable("another file has taken its place, which was left there")
    source.unlink()


def _copy_times(record: Record, part: Path) -> None:
    if os.path.isfile(record.source):  # noqa: PTH113 - a name is not to be normalised
        shutil.copystat(record.source, part)
    elif record.mtime is not None:
        # An archive may give its members times that no file can have.
        with contextlib.suppress(OSError, OverflowError):
            os.utime(part, (record.mtime, record.mtime))
