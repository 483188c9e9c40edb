"""The first few of many, in memory that does not grow with the many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from nsfw_caffe.results.record import Record

Entry = TypeVar("Entry")

_SLACK = 1000
"""How many more entries than wanted are kept before they are sorted: sorting at each one would be slow."""


class Best(Generic[Entry]):
    """Keeps the entries that a key puts first.

    Parameters
    ----------
    count : int
        How many to keep, 0 or more.
    key : callable
        Makes of an entry what entries are sorted by, in ascending order.
    """

    # A heap would need the worst kept entry at its root, and no key turns the order of names round.

    def __init__(self, count: int, key: Callable[[Entry], tuple[float | str, ...]]) -> None:
        self._count = count
        self._key = key
        self._kept: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Take an entry into account."""
        self._kept.append(entry)
        if len(self._kept) > 2 * self._count + _SLACK:
            self._cut()

    def entries(self) -> tuple[Entry, ...]:
        """Return the first of the entries added so far, in order."""
        self._cut()
        return tuple(self._kept)

    def _cut(self) -> None:
        self._kept.sort(key=self._key)
        del self._kept[self._count :]


def highest_first(record: Record) -> tuple[float | str, ...]:
    """Sort scored records by score, the highest first, and equal ones by source."""
    return (-_score(record), record.source)


def lowest_first(record: Record) -> tuple[float | str, ...]:
    """Sort scored records by score, the lowest first, and equal ones by source."""
    return (_score(record), record.source)


def _score(record: Record) -> float:
    if record.score is None:
        raise ValueError(f"{record.source} has no score")
    return record.score
