"""Clips for tests, made anew: a harmless photo with segments of a picture that the network takes for nsfw.

The picture is tests/explain/patch.png, coloured squares with nothing to see. Each frame has its number in its lowest
rows, so that a test can tell which one it was given.
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.support import PHOTOS

os.environ.setdefault("SVT_LOG", "0")  # else its encoder tells of itself on descriptor 2

Pixels = npt.NDArray[np.uint8]

SIZE = (320, 180)
BITS = 10
"""Of a frame's number, each a block of 32 by 16 pixels, black or white."""

PATCH = Path(__file__).parent / "explain" / "patch.png"


@dataclass(frozen=True)
class Clip:
    """How a clip is made: codec, options of the encoder, and frames of 1/10 s."""

    name: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)
    seconds: float = 6.0
    rate: int = 10
    segments: tuple[tuple[float, float], ...] = ((1.5, 3.5),)
    pix_fmt: str = "yuv420p"

    def write(self, folder: Path) -> Path:
        """Write the clip, and return its path."""
        path = folder / self.name
        numbers = range(round(self.seconds * self.rate))
        times = [number / self.rate for number in numbers]
        write(path, self.codec, zip(times, pictures(times, self.segments), strict=True), self)
        return path


X264 = {"preset": "ultrafast"}
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"}
VP9 = {"deadline": "realtime", "cpu-used": "8"}
NO_KEYS = {"g": "100000", "sc_threshold": "0", "x264-params": "scenecut=0"}

CLIPS = (
    Clip("h264.mp4", "libx264", X264),
    Clip("b-frames.mp4", "libx264", {"preset": "veryfast", "bf": "3", "g": "25"}),
    Clip("no-key-frames.mp4", "libx264", X264 | NO_KEYS),
    Clip("h264.mkv", "libx264", X264 | {"bf": "2"}),
    Clip("h264.mov", "libx264", X264),
    Clip("h264.ts", "libx264", X264 | {"bf": "2"}),
    Clip("h264.flv", "libx264", X264),
    Clip("h264.avi", "libx264", X264 | {"bf": "2"}),
    Clip("interlaced.mp4", "libx264", {"preset": "veryfast", "flags": "+ildct+ilme", "x264-params": "tff=1"}),
    Clip("vp9.webm", "libvpx-vp9", VP9),
    Clip("vp9.mp4", "libvpx-vp9", VP9),
    Clip("av1.mp4", "libsvtav1", {"preset": "11", "svtav1-params": "lp=1"}),
    Clip("av1.webm", "libsvtav1", {"preset": "11", "svtav1-params": "lp=1"}),
    Clip("hevc.mp4", "libx265", X265),
    Clip("hevc.mkv", "libx265", X265 | {"bf": "3"}),
    Clip("mpeg2.ts", "mpeg2video", {"b": "4M", "bf": "2"}, rate=25),
    Clip("mpeg2.mpg", "mpeg2video", {"b": "4M"}, rate=25),
    Clip("mpeg4.avi", "mpeg4", {"b": "4M"}),
    Clip("wmv.wmv", "wmv2", {"b": "4M"}),
)


def pictures(times: Iterable[float], segments: Sequence[tuple[float, float]]) -> Iterable[Pixels]:
    """Return the frames of these times, numbered, in uint8 RGB."""
    return (
        numbered(nsfw() if any(start <= time < end for start, end in segments) else harmless(), number)
        for number, time in enumerate(times)
    )


@functools.cache
def harmless() -> Pixels:
    """Return a photo."""
    return np.asarray(Image.open(PHOTOS / "coffee.png").convert("RGB").resize(SIZE))


@functools.cache
def nsfw() -> Pixels:
    """Return the same photo under what the network takes for nsfw."""
    picture = Image.fromarray(harmless()).resize((256, 256))
    for place in ((32, 32), (128, 32), (32, 128), (128, 128)):
        picture.paste(Image.open(PATCH), place)
    return np.asarray(picture.resize(SIZE))


def numbered(picture: Pixels, number: int) -> Pixels:
    """Write a number into a picture's lowest rows."""
    marked = picture.copy()
    for bit in range(BITS):
        marked[-16:, 32 * bit : 32 * (bit + 1)] = 235 if number >> bit & 1 else 20
    return marked


def number_of(picture: Image.Image) -> int:
    """Read the number of a frame, whatever a codec has made of it."""
    rows = np.asarray(picture.convert("L"))[-12:-4]
    return sum(int(rows[:, 32 * bit + 8 : 32 * bit + 24].mean() > 128) << bit for bit in range(BITS))


def write(path: Path, codec: str, frames: Iterable[tuple[float, Pixels]], clip: Clip, **options: str) -> None:
    """Encode frames, each from its time on; `options` are the container's."""
    import av

    stamps = 1000 if codec not in ("mpeg2video", "mpeg4", "wmv2") else clip.rate
    with av.open(str(path), "w", options=options) as container:
        stream: Any = container.add_stream(codec, rate=clip.rate, options=clip.options)
        for index, (time, pixels) in enumerate(frames):
            if not index:
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = clip.pix_fmt
                stream.codec_context.time_base = Fraction(1, stamps)
                stream.codec_context.thread_count = 1
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(time * stamps), Fraction(1, stamps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def turned(mp4: bytes, degrees: int) -> bytes:
    """Have an MP4 say that its picture is to be turned clockwise by 90, 180 or 270 degrees."""
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    place = mp4.index(b"tkhd") + 4 + 40  # version and flags, then what a box of version 0 has before the matrix
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    return mp4[:place] + matrix + mp4[place + len(matrix) :]


def write_animation(path: Path, seconds: Sequence[float], segment: tuple[int, int] = (0, 0), **options: Any) -> Path:
    """Write an animation whose frames are shown for these times, those of the segment's numbers being nsfw."""
    shown = [
        Image.fromarray(numbered(nsfw() if segment[0] <= number < segment[1] else harmless(), number))
        for number in range(len(seconds))
    ]
    duration = [round(1000 * each) for each in seconds]
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=duration, loop=0, **options)
    return path
