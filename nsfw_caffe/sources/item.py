"""One thing that a scan found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

from nsfw_caffe.system.reading import UnreadableError, read_file, why_unreadable


class ArchiveError(Exception):
    """An archive cannot be read, or not further; the message goes into the results and does not name it."""


@dataclass(frozen=True)
class Item:
    """A file, a member of an archive, or something that should have been one.

    Attributes
    ----------
    source : str
        Its name in the results: the path as it was given or found, or ``archive!member``.
    size : int or None
        Length in bytes; None where it is not known before it is read.
    mtime : float or None
        When it was changed last, in seconds since 1970 (UTC); None where it is not known.
    path : str or None
        The file to read.
    most : int or None
        How many bytes it may have by then.
    member : callable or None
        Reads an archive's member.
    error : str or None
        Why there is nothing to read; it does not name the source. An item has a path, a member or an error.
    """

    source: str
    size: int | None = None
    mtime: float | None = None
    path: str | None = None
    most: int | None = None
    member: Callable[[], bytes] | None = field(default=None, compare=False, repr=False)
    error: str | None = None

    def read(self) -> bytes:
        """Return the content: a file's at any time, a member's once and before the next item is asked for.

        Raises
        ------
        UnreadableError
            It cannot be read; the message says why, without the source's name.
        ArchiveError
            Its archive cannot be read any further, which the next item says.
        """
        if self.member is not None:
            return self.member()
        assert self.path is not None, self.source
        try:
            return read_file(self.path, self.most)
        except Exception as error:  # no file system is to end a scan
            raise UnreadableError(why_unreadable(self.source, error)) from error

    def hold(self) -> Item | None:
        """Return the item so that it can be read at any time: a member is read now, and is in memory or has its error.

        None is for a member that its archive breaks off in: of that, the next item tells.
        """
        if self.member is None:
            return self
        try:
            content = self.member()
        except UnreadableError as error:
            return dataclasses.replace(self, member=None, error=str(error))
        except ArchiveError:
            return None
        return dataclasses.replace(self, size=len(content), member=lambda: content)
