"""How much a picture may ask for: checked before it costs memory or time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


class LimitExceeded(Exception):  # noqa: N818 - a state, named as one
    """A picture asks for more than a limit allows; the message names value, limit and option, but not the picture."""


@dataclass(frozen=True)
class Limits:
    """What a picture may ask for; None stands for no limit.

    docs/limits.md says what memory and time the defaults imply.

    Attributes
    ----------
    pixels : int or None
        Width times height.
    side : int or None
        The longer of width and height, in pixels.
    jpeg_scans : int or None
        Scans of a JPEG file, each of which is decoded for the whole picture.
    bytes : int or None
        Length of the file.
    animation_pixels : int or None
        Frames of an animation times the pixels of one, where more than the first are looked at.
    steps : int or None
        What Pillow does in Python: pixels of formats that it decodes in Python (QOI, BLP, XPM, PPM as text, some DDS
        and BMP); and reads from the file, of a chunk, a segment or a block of it, each of which counts as ten pixels.

    Raises
    ------
    ValueError
        If a limit is neither None nor a whole number of 1 or more.

    Examples
    --------
    >>> import nsfw_caffe
    >>> classifier = nsfw_caffe.Classifier(limits=nsfw_caffe.Limits(pixels=1000))
    >>> classifier.classify("photo.jpg")
    Traceback (most recent call last):
    nsfw_caffe.errors.ImageError: photo.jpg: 262144 pixels: the limit is 1000 (Limits.pixels, --max-pixels)
    """

    pixels: int | None = 100_000_000
    side: int | None = 30_000
    jpeg_scans: int | None = 64
    bytes: int | None = 256 << 20
    animation_pixels: int | None = 2_000_000_000
    steps: int | None = 10_000_000

    def __post_init__(self) -> None:
        for name in OPTIONS:
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(f"Limits.{name}={value!r}: expected a whole number of 1 or more, or None")

    @classmethod
    def none(cls) -> Limits:
        """Return no limits but those that Pillow has: the original's behaviour."""
        return cls(**dict.fromkeys(OPTIONS))

    def check(self, name: str, value: int, what: str) -> None:
        """Raise LimitExceeded if a value is above the limit of this name; `what` is its unit."""
        limit: int | None = getattr(self, name)
        if limit is not None and value > limit:
            raise LimitExceeded(f"{value} {what}: the limit is {limit} (Limits.{name}, {OPTIONS[name]})")

    def check_size(self, width: int, height: int) -> None:
        """Raise LimitExceeded if a picture of this size has too long a side or too many pixels."""
        self.check("pixels", width * height, "pixels")
        self.check("side", max(width, height), "pixels a side")


OPTIONS = {
    "pixels": "--max-pixels",
    "side": "--max-side",
    "jpeg_scans": "--max-scans",
    "bytes": "--max-size",
    "animation_pixels": "--max-animation-pixels",
    "steps": "--max-steps",
}
"""The option of the command line for each limit."""

assert [field.name for field in dataclasses.fields(Limits)] == list(OPTIONS)

DEFAULT_LIMITS = Limits()
"""What holds unless the user says otherwise."""
