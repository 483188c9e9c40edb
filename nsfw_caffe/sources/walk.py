"""Walking through folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from nsfw_caffe.sources.archive import Archive, is_archive, reason, too_large
from nsfw_caffe.sources.item import Item
from nsfw_caffe.sources.selection import Selection
from nsfw_caffe.system.reading import NOT_REGULAR, why_unreadable

Visited = set[tuple[int, int]]
"""Device and inode of every folder that has been listed."""


@dataclass(frozen=True)
class _Folder:
    """A folder that is being walked through: its path, its path below the source, and the names still to come."""

    path: str
    relative: str
    names: Iterator[str]


def walk(source: str, selection: Selection, visited: Visited) -> Iterator[Item | Archive]:
    """Yield what a source is, or what is in it: files as items, which are not opened, and archives.

    What is in a folder comes in the order of its names, files and folders mixed; no more than the names of the folders
    on the way down is in memory. Links are followed. A folder that is in `visited`, which grows, is passed over.
    """
    status = _status(source)
    if isinstance(status, Item):
        yield status
    elif stat.S_ISDIR(status.st_mode):
        yield from _walk_folder(source, status, selection, visited)
    elif not selection.leaves_out(source):
        yield _find(source, status, selection)


def _walk_folder(
    folder: str, status: os.stat_result, selection: Selection, visited: Visited
) -> Iterator[Item | Archive]:
    # A stack in place of recursion: folders may be nested more deeply than Python's calls.
    levels: list[_Folder] = []
    yield from _enter(levels, folder, "", status, visited)
    while levels:
        name = next(levels[-1].names, None)
        if name is None:
            levels.pop()
            continue
        path, relative = _join(levels[-1].path, name), _join(levels[-1].relative, name)
        if not selection.enters(relative):
            continue
        below = _status(path)
        if not isinstance(below, Item) and stat.S_ISDIR(below.st_mode):
            yield from _enter(levels, path, relative, below, visited)
        elif (is_archive(name) or selection.takes(relative)) and not selection.leaves_out(path):
            yield below if isinstance(below, Item) else _find(path, below, selection)


def _enter(levels: list[_Folder], path: str, relative: str, status: os.stat_result, visited: Visited) -> Iterator[Item]:
    """Put a folder on top of those that are being walked through, or yield what is reported if it cannot be listed."""
    identity = (status.st_dev, status.st_ino)
    if identity in visited:
        return
    visited.add(identity)
    try:
        # Names alone: there may be millions, and what scandir has besides takes several times their memory.
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        yield Item(path, error=f"the folder cannot be read ({reason(error)})")
    else:
        levels.append(_Folder(path, relative, iter(names)))


def _find(path: str, status: os.stat_result, selection: Selection) -> Item | Archive:
    """Return what a path that is no folder stands for."""
    size, mtime = status.st_size, status.st_mtime
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for somebody to write to it.
        return Item(path, error=NOT_REGULAR)
    if is_archive(path):
        return Archive(path, size, mtime)
    if size > selection.max_bytes and not selection.videos:
        return Item(path, size, mtime, error=too_large(selection.max_bytes))
    return Item(path, size, mtime, path=path, most=selection.max_bytes)


def _status(path: str) -> os.stat_result | Item:
    """Return what the system says of a path, or what is reported if it says that there is nothing."""
    try:
        return os.stat(path)  # noqa: PTH116 - to Path, "" is the current folder
    except OSError as error:
        return Item(path, error=why_unreadable(path, error))
    except ValueError:
        return Item(path, error="cannot be read (a path cannot hold this character)")


def _join(folder: str, name: str) -> str:
    return f"{folder}{name}" if folder == "" or folder.endswith("/") else f"{folder}/{name}"
