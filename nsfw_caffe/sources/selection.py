"""Which of what a scan comes across is meant."""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass
from functools import cached_property

MAX_BYTES = 1 << 28
"""256 MiB: no camera writes a larger picture, and a few of them at a time still fit into memory."""


@dataclass(frozen=True)
class Selection:
    """What is taken of the files in folders and of the members of archives; what a source names itself is taken anyway.

    A pattern is a shell glob, whatever the case of its letters, in which ``*`` stands for slashes too. Without a slash
    it is compared with the name; with one, with the path below the folder that is a source, or the member's whole name.
    """

    include: tuple[str, ...] = ()  # if any, only files that match; folders and archives are looked into anyway
    exclude: tuple[str, ...] = ()  # folders and archives too; this wins over `include`
    hidden: bool = False  # also what has a name with a leading dot
    max_bytes: int = MAX_BYTES  # a larger file or member is reported and not read
    leave_out: frozenset[str] = frozenset()  # paths of files: the RESULTS that the scan itself writes
    videos: bool = False  # videos too: a file is looked into before it is too large, since a video may have any size

    def enters(self, relative: str) -> bool:
        """Return whether a file or folder is neither excluded nor hidden; what it is in is another question."""
        name = relative.rpartition("/")[2]
        if name.startswith(".") and not self.hidden:
            return False
        return not self._excluded.match(relative, name)

    def takes(self, relative: str) -> bool:
        """Return whether a file that may be looked at is wanted."""
        return not self.include or self._included.match(relative, relative.rpartition("/")[2])

    def takes_member(self, name: str) -> bool:
        """Return whether the archive's member of this name is wanted, which the folders that it is in decide too."""
        parts = [part for part in name.split("/") if part not in ("", ".", "..")]
        paths = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        return all(map(self.enters, paths)) and self.takes("/".join(parts))

    def takes_address(self, address: str) -> bool:
        """Return whether the picture of this address in the web is wanted; its name ends where a query begins."""
        name = re.split("[?#]", address, maxsplit=1)[0].rpartition("/")[2]
        if self._excluded.match(address, name):
            return False
        return not self.include or self._included.match(address, name)

    def leaves_out(self, path: str) -> bool:
        """Return whether a file is one that is never taken."""
        # Only a file of such a name is followed to where it really is: that costs several calls of the system.
        return _name(path) in self._names_left_out and os.path.realpath(path) in self._left_out

    @cached_property
    def _included(self) -> _Patterns:
        return _Patterns(self.include)

    @cached_property
    def _excluded(self) -> _Patterns:
        return _Patterns(self.exclude)

    @cached_property
    def _left_out(self) -> frozenset[str]:
        return frozenset(map(os.path.realpath, self.leave_out))

    @cached_property
    def _names_left_out(self) -> frozenset[str]:
        return frozenset(map(_name, self.leave_out | self._left_out))


def _name(path: str) -> str:
    return os.path.normcase(os.path.basename(path))  # noqa: PTH119 - there may be millions


class _Patterns:
    """Several globs at once."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        # "thumbs/" means the folder of that name, wherever it is.
        globs = [pattern.rstrip("/") for pattern in patterns]
        self._of_names = _compiled([glob for glob in globs if "/" not in glob])
        self._of_paths = _compiled([glob for glob in globs if "/" in glob])

    def match(self, path: str, name: str) -> bool:
        return bool(self._of_names.match(name) or self._of_paths.match(path))


def _compiled(globs: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, globs)) or "(?!)", re.IGNORECASE)  # (?!) matches nothing
