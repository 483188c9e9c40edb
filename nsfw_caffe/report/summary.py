"""What a whole file of results says, in one pass."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from nsfw_caffe.results.record import THRESHOLDS, Provenance, Record

BINS = 20
"""Of the histogram, each 1 / BINS wide."""

EDGES = tuple(index / BINS for index in range(BINS + 1))

_KINDS = 1000
"""How many different texts are counted: the damaged pictures of strangers make as many kinds of error as they like."""

Counts = tuple[tuple[str, int], ...]

Entry = TypeVar("Entry")

_SLACK = 1000
"""How many more entries than wanted are kept before they are sorted: sorting at each one would be slow."""


@dataclass(frozen=True)
class Summary:
    """What `summarise` finds out."""

    rows: int
    scored: int
    failed: int
    repeated: int  # scored sources whose content had been scored before under another name
    bytes: int  # of all contents whose length is known
    seconds: float  # spent on all sources, added up over whatever worked at the same time
    mean: float | None
    histogram: tuple[int, ...]  # scores from EDGES[i] to below EDGES[i + 1]; the last bin includes 1
    reached: tuple[tuple[float, int], ...]  # each threshold, ascending, with the number of scores at or above it
    formats: Counts  # of the scored pictures, the most frequent first, then all those not named, as "others"
    reasons: Counts  # what was wrong with the other pictures, likewise
    highest: tuple[Record, ...]
    slowest: tuple[Record, ...]
    failures: tuple[Record, ...]  # the first in the order of the rows
    set_ups: tuple[Provenance, ...]
    versions: tuple[str, ...]
    first: str | None  # when the first source was scored, in UTC: 2026-11-23T07:15:00Z
    last: str | None


def summarise(
    records: Iterable[Record], thresholds: Sequence[float] = THRESHOLDS, *, top: int = 10, highest: int | None = None
) -> Summary:
    """Read records once, in memory that does not grow with their number.

    It names `top` of the slowest and failed sources, the formats and the reasons, and `highest` or `top` high scores.
    """
    tally = _Tally(thresholds, top, top if highest is None else highest)
    for record in records:
        tally.add(record)
    return tally.summary()


class _Tally:
    def __init__(self, thresholds: Sequence[float], top: int, highest: int) -> None:
        self._top = top
        self._rows = self._scored = self._repeated = self._bytes = 0
        self._seconds = self._total = 0.0
        self._histogram = [0] * BINS
        self._reached = dict.fromkeys(sorted(thresholds), 0)
        self._formats: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._highest = TopK(highest, highest_first)
        self._slowest: TopK[Record] = TopK(top, lambda record: (-(record.seconds or 0), record.source))
        self._failures: list[Record] = []
        self._set_ups: set[Provenance] = set()
        self._versions: set[str] = set()
        self._first: str | None = None
        self._last: str | None = None

    def add(self, record: Record) -> None:
        self._rows += 1
        self._bytes += record.bytes or 0
        self._seconds += record.seconds or 0
        if record.seconds:
            self._slowest.add(record)
        self._set_ups.add(record.set_up)
        self._versions.add(record.version)
        self._first = min(self._first or record.scored_at, record.scored_at)
        self._last = max(self._last or record.scored_at, record.scored_at)
        if record.score is None:
            _count(self._reasons, record.error or "no reason is given")
            if len(self._failures) < self._top:
                self._failures.append(record)
        else:
            self._add_score(record, record.score)

    def _add_score(self, record: Record, score: float) -> None:
        self._scored += 1
        self._total += score
        self._repeated += record.seconds == 0
        self._histogram[min(bisect.bisect_right(EDGES, score) - 1, BINS - 1)] += 1
        for threshold in self._reached:
            self._reached[threshold] += score >= threshold
        _count(self._formats, record.format or "unknown")
        self._highest.add(record)

    def summary(self) -> Summary:
        return Summary(
            rows=self._rows,
            scored=self._scored,
            failed=self._rows - self._scored,
            repeated=self._repeated,
            bytes=self._bytes,
            seconds=self._seconds,
            mean=self._total / self._scored if self._scored else None,
            histogram=tuple(self._histogram),
            reached=tuple(self._reached.items()),
            formats=_most_frequent(self._formats, self._top),
            reasons=_most_frequent(self._reasons, self._top),
            highest=self._highest.entries(),
            slowest=self._slowest.entries(),
            failures=tuple(self._failures),
            set_ups=tuple(sorted(self._set_ups)),
            versions=tuple(sorted(self._versions)),
            first=self._first,
            last=self._last,
        )


def _count(counter: Counter[str], text: str) -> None:
    counter[text if text in counter or len(counter) < _KINDS else "others"] += 1


def _most_frequent(counter: Counter[str], most: int) -> Counts:
    # most_common breaks ties by who came first, which a scan on several machines does not fix.
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[most:])
    return (*ordered[:most], ("others", rest)) if rest else tuple(ordered)


class TopK(Generic[Entry]):
    """Keeps the `count` entries that a key puts first in ascending order; the others take no memory."""

    # A heap would need the worst kept entry at its root, and no key turns the order of names round.

    def __init__(self, count: int, key: Callable[[Entry], tuple[float | str, ...]]) -> None:
        self._count = count
        self._key = key
        self._kept: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Take an entry into account."""
        self._kept.append(entry)
        if len(self._kept) > 2 * self._count + _SLACK:
            self._kept = list(self.entries())

    def entries(self) -> tuple[Entry, ...]:
        """Return the first of the entries added so far, in order."""
        return tuple(sorted(self._kept, key=self._key)[: self._count])


def highest_first(record: Record) -> tuple[float, str]:
    """Sort scored records by score, the highest first, and equal ones by source."""
    score, source = lowest_first(record)
    return (-score, source)


def lowest_first(record: Record) -> tuple[float, str]:
    """Sort scored records by score, the lowest first, and equal ones by source."""
    if record.score is None:
        raise ValueError(f"{record.source} has no score")
    return (record.score, record.source)
