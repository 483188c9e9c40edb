"""Items in, records out: read each, leave out what is known, score identical content once."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from nsfw_caffe._version import __version__
from nsfw_caffe.classifier import Result
from nsfw_caffe.parallel.ordered_map import ordered_map
from nsfw_caffe.preprocessing.limits import LimitExceeded, Limits
from nsfw_caffe.preprocessing.steps import Source
from nsfw_caffe.results.record import Provenance, Record
from nsfw_caffe.scanning.journal import Journal
from nsfw_caffe.sources.item import Content, Item, later_frames, read
from nsfw_caffe.system.processes import available_cores

_READERS = max(4, available_cores() // 4)  # threads that read and hash, and wait for the disk
_READ_AHEAD = 2  # files a reader that may wait to be scored: they are in memory as a whole
_LONGEST_QUEUE = 1000  # items that may wait for their turn: there are many where one is slow and the next are known

Score = Callable[[Iterable[Source]], Generator[Result, None, None]]
"""`Classifier.scan`: scores sources in order, and reads them as it goes on, in the caller's thread."""

Warned = Callable[[str, Sequence[str]], None]
"""Takes a source's name, and what was said of it."""


@dataclass
class _Entry:
    """An item whose turn has not come yet; what it holds is not kept: long queues are for what need not be scored."""

    item: Item
    content: Content
    awaited: int = 1  # results that are still to come, and one more until it is known how many that will be
    same: _Entry | Record | None = None  # what has identical content: an entry ahead of this one, or a record
    score: float | None = None
    error: str | None = None
    max_time: float | None = None
    warning: str | None = None
    seconds: float = 0.0
    warnings: dict[str, None] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Take the highest score of the frames, or what is wrong with the first one."""
        self.awaited -= 1
        self.seconds += result.seconds
        self.warnings.update(dict.fromkeys(result.warnings))
        if result.score is None:
            self.error = self.error or result.reason
        else:
            self.score = max(result.score, self.score or 0.0)
        if result.max_time is not None:  # a video has one result alone
            self.max_time = result.max_time
            self.warning = "; ".join(result.warnings) or None

    def settle(self) -> None:
        """Decide between a score and an error, which may be another one's."""
        if self.content.error is not None:
            self.score, self.error = None, self.content.error
        elif self.same is not None:
            self.score, self.error = self.same.score, self.same.error
            self.max_time, self.warning = self.same.max_time, self.same.warning
        elif self.score is not None:
            self.error = None


@dataclass
class ItemScorer:
    """Scores items, and puts records of them into a journal, which is not committed here, in the order of the items."""

    journal: Journal
    set_up: Provenance
    score: Score  # it has the limits too
    done: Callable[[Record, bool], None]  # told of each item's record, and whether it is a new one
    retry: bool  # errors are taken for unknown
    limits: Limits
    warned: Warned | None
    _queue: deque[_Entry] = field(default_factory=deque, init=False)
    _under_way: deque[_Entry] = field(default_factory=deque, init=False)
    _queued: dict[str, _Entry] = field(default_factory=dict, init=False)
    _exhausted: bool = field(default=False, init=False)

    def run(self, items: Iterable[Item]) -> None:
        """Score all items that are not known."""
        read_item = functools.partial(read, limits=self.limits, videos=self.set_up.every is not None)
        read_ahead = ordered_map(read_item, self._unknown(items), _READERS, _READ_AHEAD, lambda item: item.size or 0)
        with contextlib.closing(read_ahead) as contents:
            while not self._exhausted:
                with contextlib.closing(self.score(self._sources(contents))) as results:
                    for result in results:
                        self._under_way.popleft().add(result)
                        self._put_finished()
                self._put_finished()

    def _unknown(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield what has to be scored: files, which threads read, and members, which are read before the next item."""
        for found in items:
            item: Item | None = found
            record = self._known(found)
            if record is None:
                item = found.hold()
                if item is not None and found.size is None:  # only now it is
                    record = self._known(item)
            if record is not None:
                self.done(record, False)
            elif item is not None:
                yield item

    def _known(self, item: Item) -> Record | None:
        """Return an item's record, if the item has not changed since."""
        record = self._settled(self.journal.of_source(item.source))
        if record is None or record.sha256 is None or (record.bytes, record.mtime) != (item.size, item.mtime):
            return None
        return record

    def _settled(self, record: Record | None) -> Record | None:
        return None if self.retry and record is not None and record.error is not None else record

    def _sources(self, contents: Iterator[tuple[Item, Content]]) -> Iterator[Source]:
        """Queue items, and give what is to be scored of them, until there are too many or none are left."""
        for item, content in contents:
            entry = _Entry(dataclasses.replace(item, member=None), dataclasses.replace(content, data=None))
            self._queue.append(entry)
            for source in self._to_score(entry, content.data):
                entry.awaited += 1
                self._under_way.append(entry)
                yield source
            entry.awaited -= 1
            self._put_finished()
            if len(self._queue) >= _LONGEST_QUEUE:
                return
        self._exhausted = True

    def _to_score(self, entry: _Entry, data: bytes | None) -> Iterator[Source]:
        sha256 = entry.content.sha256
        source = entry.content.path if data is None else data
        if source is None or sha256 is None:
            return
        entry.same = self._queued.get(sha256) or self._settled(self.journal.of_content(sha256))
        if entry.same is None:
            self._queued[sha256] = entry
            yield source
            if data is None:
                return
            try:
                yield from later_frames(data, self.set_up.frames, self.limits)
            except LimitExceeded as error:
                entry.content = dataclasses.replace(entry.content, error=str(error))

    def _put_finished(self) -> None:
        while self._queue and not self._queue[0].awaited:
            entry = self._queue.popleft()
            entry.settle()
            if entry.same is None and entry.content.sha256 is not None:
                del self._queued[entry.content.sha256]
            record = self._record(entry)
            self.journal.put(record)
            self.done(record, True)
            if self.warned is not None:
                self.warned(entry.item.source, list(entry.warnings))

    def _record(self, entry: _Entry) -> Record:
        item, content = entry.item, entry.content
        return Record(
            source=item.source,
            score=entry.score,
            error=entry.error,
            width=content.width,
            height=content.height,
            format=content.format,
            bytes=item.size,
            sha256=content.sha256,
            mtime=item.mtime,
            **self.set_up._asdict(),
            max_time=entry.max_time,
            warning=entry.warning,
            version=__version__,
            seconds=content.seconds + entry.seconds,
            scored_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
