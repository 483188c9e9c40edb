"""How large a picture may be: checked before it costs memory or time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a picture may ask for; None stands for no limit.

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

    Raises
    ------
    ValueError
        If a limit is neither None nor a whole number of 1 or more.
    """

    pixels: int | None = 100_000_000
    side: int | None = 30_000
    jpeg_scans: int | None = 64
    bytes: int | None = 256 << 20
    animation_pixels: int | None = 2_000_000_000

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(f"Limits.{field.name}={value!r}: expected a whole number of 1 or more, or None")

    @classmethod
    def none(cls) -> Limits:
        """Return no limits but those that Pillow has: the original's behaviour."""
        return cls(None, None, None, None, None)


DEFAULT_LIMITS = Limits()
"""What holds unless the user says otherwise."""
