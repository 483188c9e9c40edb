"""Frames of videos and animations, with the times at which they are shown."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Generator, Iterator, Sequence

from PIL import Image

from nsfw_caffe.errors import VideoError
from nsfw_caffe.preprocessing.decoder_warnings import collected, heedless
from nsfw_caffe.preprocessing.formats import hint, is_video
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, Limits
from nsfw_caffe.preprocessing.opening import open_picture
from nsfw_caffe.sources.animation import Animation, still
from nsfw_caffe.sources.footage import Footage
from nsfw_caffe.sources.timeline import Account, Chosen, Grid, Shown, clock, sampled
from nsfw_caffe.sources.video_file import CONTAINERS, NoVideo, VideoFile
from nsfw_caffe.system.reading import read_source, reason

MOST_FRAMES = 100_000
"""How many times are looked at where nobody says: 27 hours, one a second."""

_ANIMATED = (b"GIF8", b"\x89PNG\r\n\x1a\n")

_REREAD = (str, os.PathLike, bytes, bytearray, memoryview)
"""Sources that can be read again; of others, a file object says so itself."""


class Frames:
    """The frames of a video or an animation, from first to last: an iterator of (time, picture).

    A time is in seconds from the beginning; the picture is a Pillow image, turned as players turn it. It is the frame
    that is shown at that time: the last one whose timestamp is not after it; before the first one, the first. A frame
    that is shown at several of the times comes as one and the same object.

    Attributes
    ----------
    duration : float or None
        Seconds, as the file says; None where it does not.
    ended : float
        Seconds to where it was looked at so far: the end of the last frame that was come to.
    complete : bool
        Whether all was looked at, in the end, that was asked for.
    warnings : list of str
        Why not, and what else is odd about it.
    name : str
        The source, as messages name it.
    size : (int, int)
        Width and height in pixels, as the file says them: not turned.
    format : str
        FFmpeg's name of the container, "mov" for an MP4, or Pillow's of the animation.
    grid : Grid
        The times that are asked for; of them, no more than `most`.
    """

    def __init__(self, source: object, grid: Grid, limit: int | None, limits: Limits) -> None:
        self.ended = 0.0
        self.grid = grid
        self.most = MOST_FRAMES if limit is None else limit
        self._account = Account()
        self._footage = Footage(source)
        self.name = self._footage.source_name
        try:
            self._film = self._open(limits)
        except BaseException:
            self._footage.close()
            raise
        self.duration = self._film.duration
        self.size, self.format = self._film.size, self._film.format
        self._pictures = self._iterate()

    def __iter__(self) -> Iterator[tuple[float, Image.Image]]:
        return self

    def __next__(self) -> tuple[float, Image.Image]:
        return next(self._pictures)

    @property
    def complete(self) -> bool:
        """See above."""
        return self._account.complete

    @property
    def warnings(self) -> list[str]:
        """See above."""
        return self._account.warnings

    def close(self) -> None:
        """Let go of the file and the decoder; what has been iterated to its end has done so itself."""
        self._pictures.close()
        self._let_go()

    def _let_go(self) -> None:
        if isinstance(self._film, VideoFile):
            self._film.close()
        self._footage.close()

    def _open(self, limits: Limits) -> Animation | VideoFile:
        head = self._footage.head
        if _may_be_animated(head):
            return Animation(self._footage, limits, self._account)
        try:
            return VideoFile(self._footage, limits, self._account)
        except NoVideo as error:
            raise VideoError(self.name, _what_else(head, limits)) from error

    def _iterate(self) -> Generator[tuple[float, Image.Image], None, None]:
        try:
            yield from self._sample()
        finally:
            if isinstance(self._film, VideoFile):
                self._film.settle()
            self._let_go()

    def _sample(self) -> Iterator[tuple[float, Image.Image]]:
        last: Shown | None = None
        picture: Image.Image | None = None
        given = False
        for count, (time, shown) in enumerate(sampled(self._watched(), self.grid)):
            if count == self.most:
                self._account.lack(f"is looked at up to {clock(time)}: {count} frames are as many as there may be")
                break
            if shown is not last:
                last, picture = shown, self._picture_of(shown)
            if picture is not None:
                given = True
                yield time, picture
        if not given:
            raise VideoError(self.name, self._nothing())

    def _watched(self) -> Iterator[Shown]:
        """Take note of how far the video has been come to."""
        frames = self._film.frames(self.grid) if isinstance(self._film, VideoFile) else self._film.frames()
        for shown in frames:
            self.ended = max(shown.until, shown.time)
            yield shown

    def _picture_of(self, shown: Shown) -> Image.Image | None:
        try:
            return shown.picture()
        except Exception as error:  # noqa: BLE001 - what PyAV raises is no closed list
            self._account.lack(f"has no picture at {clock(shown.time)}: {reason(error)}")
            return None

    def _nothing(self) -> str:
        if self.ended <= self.grid.start:
            return f"there is no frame from {clock(self.grid.start)} on: it ends at {clock(self.ended)}"
        return "; ".join(["no frame of it can be decoded", *self.warnings])


def frames(
    source: object,
    every: float = 1.0,
    start: float | None = None,
    end: float | None = None,
    limit: int | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Frames:
    """Open a video or an animation and give the frames that are shown every so many seconds.

    Parameters
    ----------
    source : str, os.PathLike, bytes or binary file object
        The file. From one that cannot be rewound, a pipe, it is read as it comes.
    every : float, default 1.0
        Seconds from one time to the next, 0.001 or more; 0 for every frame, at its own time.
    start, end : float, optional
        Seconds from the beginning: the first time, and the time before which the last one lies.
    limit : int, optional
        How many times are looked at, at most; by default 100,000.
    limits : Limits, optional
        What a frame may ask for, in pixels; what an animation may.

    Returns
    -------
    Frames
        An iterator, which says when it has ended whether that was all.

    Raises
    ------
    VideoError
        If the file cannot be read, is no video, or nothing of it can be decoded; the last two, by its iteration too.
    EngineUnavailable
        If it is a video, and PyAV is not installed.
    ValueError
        If a step, time or limit makes no sense.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit}: expected 1 or more")
    return Frames(source, Grid(every, start or 0.0, math.inf if end is None else end), limit, limits)


def frames_at(source: object, times: Sequence[float], limits: Limits = DEFAULT_LIMITS) -> Frames:
    """Open a video or an animation and give the frames that are shown at some times, one or more, which rise."""
    return Frames(source, Chosen(times), len(times), limits)


def is_moving(source: object, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Tell whether a source is a video, or an animation of several frames: a path, bytes or a binary file object.

    A file object is rewound to where it was; of one that cannot be, and of what cannot be read, nothing is told.
    """
    with contextlib.suppress(Exception):  # whoever reads it as a picture says what is wrong
        if not isinstance(source, _REREAD) and not source.seekable():  # type: ignore[attr-defined]
            return False
        with contextlib.closing(Footage(source)) as footage:
            try:
                return is_video(footage.head) or (_may_be_animated(footage.head) and _is_animated(footage, limits))
            finally:
                footage.seek(0)
    return False


def _is_animated(footage: Footage, limits: Limits) -> bool:
    data = read_source(footage, limits.bytes)
    with collected():  # and dropped: it is said again when it is decoded
        return heedless(lambda: bool(getattr(open_picture(data, limits), "is_animated", False)))


def _may_be_animated(head: bytes) -> bool:
    return head.startswith(_ANIMATED) or _is_webp(head) or _is_avif(head)


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _is_avif(head: bytes) -> bool:
    brands = head[8 : int.from_bytes(head[:4], "big")]
    return head[4:8] == b"ftyp" and (b"avis" in brands or b"avif" in brands)


def _what_else(head: bytes, limits: Limits) -> str:
    """Say what a file is that is no video, by its beginning."""
    try:
        kind = open_picture(head, limits).format
    except Exception:  # noqa: BLE001 - Pillow's plugins raise whatever their format makes them raise
        found = hint(head)
        if "a video" in found:
            return "the video cannot be opened: its index is missing or damaged; it may have been cut off with the end"
        return f"not in any video format that is read ({', '.join(CONTAINERS.values())}){found}"
    return still(kind)
