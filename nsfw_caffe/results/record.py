"""One row of RESULTS."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

THRESHOLDS = (0.2, 0.5, 0.8)
"""open_nsfw's README of 2016: under 0.2 a picture is likely safe, over 0.8 it is likely not; 0.5 lies between them."""


class SetUp(NamedTuple):
    """What decides a score besides the picture: scores of different set-ups are not mixed in one RESULTS.

    Attributes
    ----------
    engine : str
        The engine's name, "caffe" for example.
    precision : str
        "float32" or "bfloat16".
    decode : str
        "exact" or "fast".
    frames : int
        Of how many frames of an animated picture, at most, the score is the highest.
    model : str
        SHA-256 of the model's two files, 64 hexadecimal digits.
    """

    engine: str
    precision: str
    decode: str
    frames: int
    model: str


@dataclass(frozen=True)
class Record:
    """What is known of one source: a row of RESULTS, whose columns have these names, in this order.

    Attributes
    ----------
    source : str
        The path as it was given or found, or ``archive!member``.
    score : float or None
        The network's output, 0 to 1; None if it could not be scored.
    error : str or None
        Why not, without the source's name; None if it was scored.
    width, height : int or None
        Pixels, as the picture's header says; None where there is none to read.
    format : str or None
        Pillow's name of the format, "JPEG" for example.
    bytes : int or None
        Length of the content.
    sha256 : str or None
        Of the content, 64 hexadecimal digits; None where it could not be read.
    mtime : float or None
        When the source was changed last, in seconds since 1970 (UTC).
    engine, precision, decode, frames, model
        See `SetUp`.
    version : str
        The library's version.
    seconds : float or None
        How long the source was worked on; 0 where identical content had been scored before.
    scored_at : str
        When, in UTC: 2026-11-23T07:15:00Z.

    Raises
    ------
    ValueError
        If the score is no number from 0 to 1.
    """

    source: str
    score: float | None
    error: str | None
    width: int | None
    height: int | None
    format: str | None
    bytes: int | None
    sha256: str | None
    mtime: float | None
    engine: str
    precision: str
    decode: str
    frames: int
    model: str
    version: str
    seconds: float | None
    scored_at: str

    def __post_init__(self) -> None:
        # Here, for what is read and what is written alike: one such row would make RESULTS unreadable.
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"score is {self.score!r}: expected 0 to 1")

    @property
    def set_up(self) -> SetUp:
        """What decided the score besides the picture."""
        return SetUp(self.engine, self.precision, self.decode, self.frames, self.model)


COLUMNS = tuple(field.name for field in dataclasses.fields(Record))
