"""What the scores of a video's frames say of the video."""

from __future__ import annotations

import contextlib
import functools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from nsfw_caffe.errors import ImageError, ScoreError
from nsfw_caffe.parallel.outcome import Outcome
from nsfw_caffe.parallel.pipeline import FEW
from nsfw_caffe.preprocessing.limits import Limits
from nsfw_caffe.preprocessing.steps import Source, describe
from nsfw_caffe.sources.frames import Frames, is_moving
from nsfw_caffe.sources.timeline import Grid, clock

Numbers: TypeAlias = npt.NDArray[np.float64]

Progress: TypeAlias = Callable[[float, float | None], object]
"""Is told the seconds that are scored, and how many there are, where the file says so."""

Score: TypeAlias = Callable[[Iterable[Source]], Iterator[tuple[Source, Outcome]]]
"""Scores pictures, in order, and reads them as it goes on, in the caller's thread."""

THRESHOLD = 0.8
"""From which score on a frame counts, unless somebody says otherwise."""

_PERCENTILE = 0.95


@dataclass(frozen=True)
class Segment:
    """A part of a video whose frames are at or above a threshold.

    Attributes
    ----------
    start, end : float
        Seconds: of its first frame, and of the first one after it that is not, or of the end. Each may be off by up to
        the step: `start` too late, `end` too late.
    score : float
        The highest one in it.
    """

    start: float
    end: float
    score: float


@dataclass(frozen=True, eq=False)
class VideoResult:
    """The scores of a video's frames, and what they say of it.

    Each frame that was scored stands for the time until the next one. The numbers below are of these times; where the
    step is constant, that is the same as of the frames. For another threshold, use `dataclasses.replace`.

    Attributes
    ----------
    times : numpy.ndarray
        float64 (n,): seconds from the beginning, rising; n is 1 or more.
    scores : numpy.ndarray
        float64 (n,): what `Classifier.classify` gives of the frames that are shown then, 0 to 1, the same bits.
    every : float
        The step in seconds, which is how far the edges of segments may be off: what is shorter may have been missed.
        0 where every frame was scored.
    threshold : float
        The score from which on frames count in `share` and `segments`.
    duration : float or None
        Seconds that the video lasts, as its file says; None where it does not.
    ended : float
        Seconds to where it was looked at.
    complete : bool
        Whether all was looked at that was asked for. False where the file is damaged or cut off, where `limit` or
        `stop_at` has ended it, and where it ends before its file says; `warnings` has why.
    warnings : tuple of str
        What is to be known about it, without the name of the source.

    Examples
    --------
    >>> import dataclasses
    >>> import nsfw_caffe
    >>> result = nsfw_caffe.Classifier().classify_video("clip.gif", every=0.5)
    >>> result.times.tolist(), round(result.max_score, 2), result.complete
    ([0.0, 0.5, 1.0], 0.02, True)
    >>> [(segment.start, segment.end) for segment in dataclasses.replace(result, threshold=0.01).segments]
    [(0.5, 1.2)]
    """

    times: Numbers
    scores: Numbers
    every: float
    threshold: float
    duration: float | None
    ended: float
    complete: bool
    warnings: tuple[str, ...] = ()

    @property
    def max_score(self) -> float:
        """The highest score, 0 to 1: what to sort and to moderate by."""
        return float(self.scores.max())

    @property
    def max_time(self) -> float:
        """Seconds at which it is reached first."""
        return float(self.times[self.scores.argmax()])

    @property
    def mean(self) -> float:
        """The mean score, 0 to 1. It hides a short scene in a long video."""
        return float(np.average(self.scores, weights=self._seconds))

    @property
    def p95(self) -> float:
        """The 95th percentile: the lowest score, 0 to 1, that for 95 % of the time is not exceeded."""
        order = self.scores.argsort(kind="stable")
        reached = self._seconds[order].cumsum()
        return float(self.scores[order][np.searchsorted(reached, _PERCENTILE * reached[-1] * (1 - 1e-12))])

    @property
    def share(self) -> float:
        """The share of the time that is at or above the threshold, 0 to 1."""
        return float(np.average(self.scores >= self.threshold, weights=self._seconds))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The parts that are at or above the threshold, in their order."""
        above = np.concatenate(([False], self.scores >= self.threshold, [False]))
        edges = np.flatnonzero(above[1:] != above[:-1]).reshape(-1, 2)
        ends = np.append(self.times, self._end)
        return tuple(
            Segment(float(self.times[first]), float(ends[after]), float(self.scores[first:after].max()))
            for first, after in edges.tolist()
        )

    @functools.cached_property
    def _end(self) -> float:
        """To when the last frame stands."""
        last = float(self.times[-1])
        return max(last, min(self.ended, last + self.every) if self.every else self.ended)

    @functools.cached_property
    def _seconds(self) -> Numbers:
        """For how long each frame stands; all for the same where there is no time at all."""
        seconds = np.diff(np.append(self.times, self._end))
        return seconds if seconds.sum() > 0 else np.ones_like(seconds)

    def to_json(self) -> dict[str, object]:
        """Give all of it as what `json.dumps` takes, under the names above.

        `segments` is a list of objects with `start`, `end` and `score`; times, scores and warnings are lists.
        """
        return {
            "max_score": self.max_score,
            "max_time": self.max_time,
            "p95": self.p95,
            "mean": self.mean,
            "share": self.share,
            "threshold": self.threshold,
            "segments": [vars(segment) for segment in self.segments],
            "every": self.every,
            "duration": self.duration,
            "ended": self.ended,
            "complete": self.complete,
            "warnings": list(self.warnings),
            "times": self.times.tolist(),
            "scores": self.scores.tolist(),
        }


def score_frames(
    frames: Frames,
    score: Score,
    *,
    threshold: float,
    stop_at: float | None,
    progress: Progress | None,
) -> VideoResult:
    """Score the frames, a few at a time, and keep the scores alone; see `Classifier.classify_video`."""
    found: list[tuple[float, float]] = []
    under_way: deque[list[float]] = deque()

    def pictures() -> Iterator[Image.Image]:
        for picture, times in _runs(frames):
            under_way.append(times)
            yield picture

    warnings: list[str] = []
    for _, outcome in score(_Expected(pictures(), _count(frames))):
        shown_at = under_way.popleft()
        if isinstance(outcome.score, (ImageError, ScoreError)):
            raise type(outcome.score)(frames.name, f"the frame at {clock(shown_at[0])}: {outcome.score.reason}")
        found += ((time, outcome.score) for time in shown_at)
        if progress is not None:
            progress(shown_at[-1], frames.duration)
        if stop_at is not None and outcome.score >= stop_at:
            del found[len(found) - len(shown_at) + 1 :]
            warnings.append(f"is looked at up to {clock(shown_at[0])}: a score of {stop_at:g} ends it")
            break
    frames.close()  # which also has it say what was amiss
    times, scores = np.array(found, np.float64).T.copy()
    times.flags.writeable = scores.flags.writeable = False
    ended = found[-1][0] + frames.grid.every if warnings else frames.ended
    return VideoResult(
        times,
        scores,
        every=frames.grid.every,
        threshold=threshold,
        duration=frames.duration,
        ended=min(ended, frames.ended, frames.grid.end),
        complete=frames.complete and not warnings,
        warnings=(*frames.warnings, *warnings),
    )


def highest_scores(
    sources: Iterable[Source], score: Score, *, every: float, limits: Limits
) -> Iterator[tuple[Source, Outcome]]:
    """Score pictures, and among them videos and animations, by the frame that scores highest; in order.

    A video's warnings are what there is to say of how it was read.
    """
    Grid(every)  # a ValueError comes at once
    return _highest_scores(sources, score, every, limits)


def _highest_scores(
    sources: Iterable[Source], score: Score, every: float, limits: Limits
) -> Iterator[tuple[Source, Outcome]]:
    waiting: deque[_Highest] = deque()
    under_way: deque[tuple[_Highest, float | None]] = deque()

    def pictures() -> Iterator[Source]:
        for source in sources:
            highest = _Highest(source)
            waiting.append(highest)
            for time, picture in highest.pictures(every, limits):
                highest.awaited += 1
                under_way.append((highest, time))
                yield picture
            highest.awaited -= 1

    for _, outcome in score(pictures()):
        highest, time = under_way.popleft()
        highest.add(outcome, time)
        while waiting and not waiting[0].awaited:
            yield waiting.popleft().outcome()
    yield from (highest.outcome() for highest in waiting)


class _Highest:
    """What became of a source so far: of a picture, its score; of a video, the highest one of its frames."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.awaited = 1  # results that are still to come, and one more until it is known how many that will be
        self._score: float | ImageError | ScoreError | None = None
        self._time: float | None = None
        self._seconds = 0.0
        self._warnings: tuple[str, ...] = ()

    def pictures(self, every: float, limits: Limits) -> Iterator[tuple[float | None, Source]]:
        """Yield what is to be scored, each with its time; what is wrong with a video is kept."""
        start = perf_counter()
        if not is_moving(self._source, limits):
            yield None, self._source
            return
        try:
            with contextlib.closing(Frames(self._source, Grid(every), None, limits)) as opened:
                for picture, times in _runs(opened):
                    self._seconds += perf_counter() - start
                    yield times[0], picture
                    start = perf_counter()
            self._warnings = tuple(opened.warnings)
        except ImageError as error:
            self._score = self._score if isinstance(self._score, Exception) else error
        self._seconds += perf_counter() - start

    def add(self, outcome: Outcome, time: float | None) -> None:
        """Take a picture's score, or what is wrong with it."""
        self.awaited -= 1
        self._seconds += outcome.seconds
        found = outcome.score
        if time is None:
            self._warnings = outcome.warnings
        if isinstance(self._score, Exception):
            return
        if isinstance(found, Exception):
            where = "" if time is None else f"the frame at {clock(time)}: "
            self._score = type(found)(describe(self._source), where + found.reason)
        elif self._score is None or found > self._score:
            self._score, self._time = found, time

    def outcome(self) -> tuple[Source, Outcome]:
        """Give what there is to say of it in the end."""
        assert self._score is not None, self._source
        time = None if isinstance(self._score, Exception) else self._time
        return self._source, Outcome(self._score, self._seconds, self._warnings, time)


class _Expected:
    """Pictures, of which there seem to be so many: what decides whether workers are worth their start."""

    def __init__(self, pictures: Iterator[Image.Image], count: int) -> None:
        self._pictures = pictures
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Image.Image]:
        return self._pictures


def _count(frames: Frames) -> int:
    if frames.duration is None or not frames.grid.every:
        return FEW
    seconds = min(frames.duration, frames.grid.end) - frames.grid.start
    return max(1, min(math.ceil(seconds / frames.grid.every), frames.most))


def _runs(frames: Iterable[tuple[float, Any]]) -> Iterator[tuple[Any, list[float]]]:
    """Yield each picture once, with all the times at which it is shown: a lasting one need not be scored again."""
    shown: Any = None
    times: list[float] = []
    for time, picture in frames:
        if picture is not shown:
            if times:
                yield shown, times
            shown, times = picture, []
        times.append(time)
    if times:
        yield shown, times
