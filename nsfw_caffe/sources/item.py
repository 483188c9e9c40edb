"""One thing that a scan found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """A file, a member of an archive, or something that should have been one.

    Attributes
    ----------
    source : str
        Its name in the results: the path as it was given or found, or ``archive!member``.
    size : int or None
        Length in bytes; None where it is not known.
    mtime : float or None
        When it was changed last, in seconds since 1970 (UTC); None where it is not known.
    path : str or None
        The file to read.
    most : int or None
        How many bytes it may have by then.
    content : bytes or None
        What an archive's member holds.
    error : str or None
        Why there is nothing to score; it does not name the source. An item with neither path, content nor error is
        one that did not have to be read, because its result is known.
    """

    source: str
    size: int | None = None
    mtime: float | None = None
    path: str | None = None
    most: int | None = None
    content: bytes | None = None
    error: str | None = None
