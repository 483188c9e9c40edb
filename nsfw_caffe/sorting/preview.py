"""What would happen to a source, and what is in its way: nothing is changed here."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nsfw_caffe.results.record import Record
from nsfw_caffe.sorting.plan import PAST, Action
from nsfw_caffe.sources.reopening import SourceUnusable, check_unchanged, split_member
from nsfw_caffe.system.files import file_sha256, points_to

_TAKEN = "there is another file at the target"


@dataclass(frozen=True)
class Outcome:
    """What has become of a source: it can be done ("ready"), has been ("done"), had been ("before"), or cannot be."""

    state: Literal["ready", "done", "before", "skipped"]
    reason: str | None = None  # why it was skipped


def preview(record: Record, target: Path, action: Action) -> Outcome:
    """Find out what `apply` would do, and change nothing."""
    return attempt(lambda: _examine(record, target, action), target)


def attempt(step: Callable[[], Outcome], target: Path) -> Outcome:
    """Do a step and make of what is in its way, whenever it comes there, an outcome."""
    try:
        return step()
    except SourceUnusable as error:
        return Outcome("skipped", str(error))
    except FileExistsError:  # since it was looked for
        return Outcome("skipped", _TAKEN)
    except OSError as error:
        return Outcome("skipped", f"{target}: {error.strerror or error}")


def _examine(record: Record, target: Path, action: Action) -> Outcome:
    if "\0" in record.source:
        raise SourceUnusable("no file can have this name")
    if os.path.lexists(target):
        return _examine_target(record, target, action)
    _check_source(record, action)
    return Outcome("ready")


def _examine_target(record: Record, target: Path, action: Action) -> Outcome:
    """Go on where a run was interrupted: content that is there is "before", or "ready" while a move's source is."""
    if action == "link":
        is_link = points_to(target, os.path.abspath(record.source))  # noqa: PTH100 - resolve would follow links
        return Outcome("before") if is_link else Outcome("skipped", _TAKEN)
    if not has_content(target, record):
        return Outcome("skipped", _TAKEN)
    if action == "copy" or not os.path.lexists(record.source):
        return Outcome("before")
    _check_source(record, action)
    check_two_entries(Path(record.source), target)
    return Outcome("ready")


def _check_source(record: Record, action: Action) -> None:
    if split_member(record.source) is not None:
        if action != "copy":
            raise SourceUnusable(f"a member of an archive: copy it, it is no file that could be {PAST[action]}")
        return
    check_file(record)
    if action == "move" and Path(record.source).is_symlink():
        raise SourceUnusable("a symbolic link: copy or link it, moved it could point nowhere")


def check_file(record: Record) -> os.stat_result:
    """Return the status of a source that is a file; SourceUnusable where it is not there, or not what was scored."""
    return check_unchanged(record.source, record.bytes, record.mtime)


def has_content(path: Path, record: Record) -> bool:
    """Tell whether a path is a file, and no link to one, whose bytes are those that were scored."""
    try:
        status = path.lstat()
        return stat.S_ISREG(status.st_mode) and status.st_size == record.bytes and file_sha256(path) == record.sha256
    except OSError:
        return False


def check_two_entries(source: Path, target: Path) -> None:
    """Raise SourceUnusable if two paths are one name of one file, so that removing one would remove the other."""
    status = source.lstat()
    if not os.path.samestat(status, target.lstat()):
        return
    # The same folder may be reached by several paths, and on some file systems a name in capitals is the same name.
    folders_are_one = os.path.samestat(source.parent.stat(), target.parent.stat())
    if status.st_nlink == 1 or (folders_are_one and source.name.casefold() == target.name.casefold()):
        raise SourceUnusable("the target is the source itself")
