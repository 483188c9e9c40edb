"""What is asked of a video, the times to look at; and what is told of it, the frames with when they are shown."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

TOLERANCE = 1e-6
"""Seconds by which a frame may come too late and is still the one that is shown: timestamps are rounded."""


_LEAST = 0.001
"""Of a step, in seconds."""


@dataclass(frozen=True)
class Grid:
    """The times that are looked at: `start`, and then one `every` so many seconds, all of them before `end`.

    With `every` of 0 it is each frame's own time. ValueError for a step or an end that makes no sense.
    """

    every: float = 1.0
    start: float = 0.0
    end: float = math.inf

    def __post_init__(self) -> None:
        if not (_LEAST <= self.every < math.inf or self.every == 0):
            raise ValueError(f"every={self.every}: expected seconds, {_LEAST} or more, or 0 for every frame")
        if not (math.isfinite(self.start) and self.start >= 0):
            raise ValueError(f"start={self.start}: expected seconds, 0 or more")
        if not self.end > self.start:
            raise ValueError(f"end={self.end}: expected seconds, more than the start, {self.start:g}")

    def time(self, index: int) -> float:
        """Return a time by its number; there is none where every frame is looked at."""
        return self.start + index * self.every

    def next_after(self, time: float) -> float:
        """Return the first time that is not before this one."""
        if self.every == 0 or time <= self.start:
            return max(self.start, time)
        return self.time(math.ceil((time - self.start - TOLERANCE) / self.every))


class Chosen(Grid):
    """Times that somebody has chosen, one or more, rising."""

    def __init__(self, times: Sequence[float]) -> None:
        super().__init__(_LEAST, times[0], math.nextafter(times[-1], math.inf))
        object.__setattr__(self, "_times", tuple(times))

    _times: tuple[float, ...]

    def time(self, index: int) -> float:
        """See `Grid`."""
        return self._times[index] if index < len(self._times) else self.end

    def next_after(self, time: float) -> float:
        """See `Grid`."""
        return self.time(bisect.bisect_left(self._times, time - TOLERANCE))


@dataclass(frozen=True)
class Shown:
    """A frame, and from when to when it is shown, in seconds; `picture` makes a picture of it, or raises."""

    time: float
    until: float
    picture: Callable[[], Image.Image]


@dataclass
class Account:
    """What there is to say of how a video was read."""

    warnings: list[str] = field(default_factory=list)
    complete: bool = True

    def warn(self, text: str) -> None:
        """Say something once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def lack(self, text: str) -> None:
        """Say why something was not looked at."""
        self.complete = False
        self.warn(text)


def sampled(shown: Iterable[Shown], grid: Grid) -> Iterator[tuple[float, Shown]]:
    """Yield each of the grid's times with the frame that is shown then, of frames in the order of their times.

    That is the last one whose time is not after it. Before the first one, the first stands in.
    """
    if grid.every == 0:
        yield from _each(shown, grid)
        return
    index = 0
    last: Shown | None = None
    for frame in shown:
        while (time := grid.time(index)) + TOLERANCE < frame.time:
            yield time, last or frame
            index += 1
            if grid.time(index) >= grid.end:
                return
        last = frame
    while last is not None and ((time := grid.time(index)) < last.until - TOLERANCE or time <= last.time):
        yield time, last
        index += 1
        if grid.time(index) >= grid.end:
            return


def _each(shown: Iterable[Shown], grid: Grid) -> Iterator[tuple[float, Shown]]:
    """Yield the frame that is shown at the start, and all that come after it."""
    last: Shown | None = None
    for frame in shown:
        if frame.time >= grid.end:
            break
        if last is not None and last.time < grid.start < frame.time - TOLERANCE:
            yield grid.start, last
        if frame.time >= grid.start - TOLERANCE:
            yield max(frame.time, grid.start), frame
        last = frame
    else:
        if last is not None and last.time < grid.start - TOLERANCE < last.until - 2 * TOLERANCE:
            yield grid.start, last


def clock(seconds: float) -> str:
    """Write a time as players show it, with tenths: 00:10.0, 1:02:03.5."""
    tenths = round(10 * seconds)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02}:{rest // 10:02}.{rest % 10}"
    return f"{hours}:{text}" if hours else text
