"""What the scores of videos say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nsfw_caffe.errors import NsfwCaffeError
from nsfw_caffe.report.figures import FIRST, SECOND, Plot
from nsfw_caffe.report.formatting import count_of, percent, threshold
from nsfw_caffe.report.sections import Facts, Figure, Gallery, Paragraph, Part, Report, Section, Table, Thumbnail
from nsfw_caffe.report.thumbnails import make_small, uri
from nsfw_caffe.results.names import visible
from nsfw_caffe.sources.frames import frames_at
from nsfw_caffe.sources.timeline import clock
from nsfw_caffe.video import VideoResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_MOST_DRAWN = 1000
"""Points of a line: where there are more, each is the highest of several, so that none is hidden."""

PICTURES = 12
"""Thumbnails of a video, unless somebody says otherwise."""


@dataclass(frozen=True)
class Watched:
    """A video by its name, and what came of it; `path` is where it is, None where it can be read no more."""

    name: str
    outcome: VideoResult | NsfwCaffeError
    path: str | None = None


def video_report(videos: Sequence[Watched], *, pictures: int = PICTURES, clear: bool = False) -> Report:
    """Return what is to be said of videos, a section each.

    A page has the score over time and thumbnails, blurred unless `clear`, of the highest frames of up to `pictures`
    segments; where there is none, of the highest frame. They are made when it is written.
    """
    name = videos[0].name if len(videos) == 1 else count_of(len(videos), "video")
    sections = [
        Section(visible(video.name), _parts(video, number, pictures, clear)) for number, video in enumerate(videos, 1)
    ]
    return Report("NSFW scores of videos", name, sections)


def _parts(video: Watched, number: int, pictures: int, clear: bool) -> list[Part]:
    found = video.outcome
    if isinstance(found, NsfwCaffeError):
        return [Paragraph(str(found))]
    parts: list[Part] = [_facts(found), *(Paragraph(f"It {text}.") for text in found.warnings)]
    rows = [(clock(each.start), clock(each.end), f"{each.score:.4f}") for each in found.segments]
    table = Table(("#from", "#to", "#highest score"), rows)
    if rows:
        parts.append(table)
    parts.append(Figure(Plot(f"video-{number}", _caption(found), partial(_draw, found))))
    times = _highest(found, pictures)
    titles = [f"{found.scores[np.searchsorted(found.times, time)]:.4f}" for time in times]
    read = partial(_thumbnails, video.path, times, clear)
    return [*parts, _Frames(titles, read, clear, Table(table.header, []))]


class _Frames(Gallery):
    """Thumbnails of frames, which a text does without."""

    def to_text(self) -> list[str]:
        """See `Part`."""
        return []


def _facts(found: VideoResult) -> Facts:
    step = f"every {found.every:g} s" if found.every else "all"
    return Facts(
        [
            ("highest score", f"{found.max_score:.4f} at {clock(found.max_time)}"),
            ("95th percentile", f"{found.p95:.4f}"),
            ("mean score", f"{found.mean:.4f}"),
            (f"at or above {threshold(found.threshold)}", f"{percent(found.share)} of the time"),
            ("frames", f"{len(found.times):,}, {step}"),
            ("looked at to", clock(found.ended)),
        ]
    )


def _caption(found: VideoResult) -> str:
    together = -(-len(found.times) // _MOST_DRAWN)
    of = f" Each step of the line is the highest of {together} frames." if together > 1 else ""
    return f"The score over time; the dotted line is the threshold, {threshold(found.threshold)}.{of}"


def _draw(found: VideoResult, figure: Canvas) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    begins = np.arange(0, len(found.times), -(-len(found.times) // _MOST_DRAWN))
    times = np.append(found.times[begins], max(found.ended, found.times[-1]))
    scores = np.maximum.reduceat(found.scores, begins)
    axes = figure.add_subplot()
    axes.step(times, np.append(scores, scores[-1]), where="post", color=FIRST)
    axes.axhline(found.threshold, linestyle=":", color=SECOND, linewidth=1)
    axes.set(ylim=(-0.02, 1.02), xlim=(times[0], max(times[-1], times[0] + 1e-3)), xlabel="time", ylabel="score")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(max(value, 0)).removesuffix(".0")))


def _highest(found: VideoResult, count: int) -> list[float]:
    """Return the times of the highest frames of the highest segments, rising; without any, of the highest frame."""
    best = sorted(found.segments, key=lambda segment: -segment.score)[:count]
    if not best:
        return [found.max_time]
    times = []
    for segment in best:
        inside = (found.times >= segment.start) & (found.times < segment.end)
        inside |= found.times == segment.start  # of one that lasts no time at all
        times.append(float(found.times[inside][found.scores[inside].argmax()]))
    return sorted(times)


def _thumbnails(path: str | None, times: Sequence[float], clear: bool) -> list[Thumbnail]:
    made: dict[float, Thumbnail] = {}
    why = "it can be read once alone"
    if path is not None:
        try:
            for time, picture in frames_at(path, times):
                small = make_small(picture.convert("RGB"), clear=clear)
                made[time] = Thumbnail(clock(time), uri(small), *small.size, None)
            why = "it has changed since it was scored"
        except NsfwCaffeError as error:
            why = getattr(error, "reason", str(error))
    return [made.get(time) or Thumbnail(clock(time), None, 0, 0, why) for time in times]
