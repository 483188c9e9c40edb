"""One row of RESULTS."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nsfw_caffe.options import ScoringOptions

PUBLISHED = "caffe-published"
"""What stood for engine="caffe", jpeg="ijg9d", blas="atlas" before these had columns."""

THRESHOLDS = (0.2, 0.5, 0.8)
"""open_nsfw's README of 2016: under 0.2 a picture is likely safe, over 0.8 it is likely not; 0.5 lies between them."""


class Provenance(NamedTuple):
    """What made a score, besides the picture: scores that differ in it are not mixed in one RESULTS.

    The fields after `model` came later: their defaults are what is read where a file lacks them.

    Attributes
    ----------
    engine, precision, decode : str
        As in `ScoringOptions`; the engine is one of its names, not "auto".
    frames : int
        Of how many frames of an animated picture, at most, the score is the highest.
    model : str
        SHA-256 of the model's two files, 64 hexadecimal digits.
    device : str
        "cpu", or "gpu" for any of them; "" where it was not recorded.
    jpeg, blas : str
        As in `ScoringOptions`.
    every : float or None
        Seconds between the frames of videos and animations, of which the score is the highest; None where videos were
        not scored.
    """

    engine: str
    precision: str
    decode: str
    frames: int
    model: str
    device: str = ""
    jpeg: str = "pillow"
    blas: str = "system"
    every: float | None = None

    @classmethod
    def of(cls, options: ScoringOptions, model: str, frames: int = 1, every: float | None = None) -> Provenance:
        """Return what is recorded of options, the model's hash, the number of frames, and the time between them.

        Which GPU it was, the number of threads and the limits are left out: they are for a machine to choose, and a
        scan may go on with others.
        """
        device = options.device.partition(":")[0]
        scored = options.engine, options.precision, options.decode, frames, model
        return cls(*scored, device, options.jpeg, options.blas, every)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Provenance:
        """Return what a row of RESULTS says, one written before there were all the columns too."""
        known = {name: row[name] for name in cls._fields if row.get(name) not in (None, "")}
        if known.get("engine") == PUBLISHED:
            known |= {"engine": "caffe", "jpeg": "ijg9d", "blas": "atlas"}
        return cls(**known)

    def fits(self, other: Provenance) -> bool:
        """Tell whether scores of both may stand in one RESULTS: all is equal, as far as it was recorded."""
        return self._replace(device=self.device or other.device) == other


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
        Pixels, as the picture's or the video's header says; None where there is none to read.
    format : str or None
        Pillow's name of the format, "JPEG" for example; of a video FFmpeg's of the container, "mov" for an MP4.
    bytes : int or None
        Length of the content.
    sha256 : str or None
        Of the content, 64 hexadecimal digits; None where it could not be read.
    mtime : float or None
        When the source was changed last, in seconds since 1970 (UTC).
    engine, precision, decode, frames, model, device, jpeg, blas, every
        See `Provenance`.
    max_time : float or None
        Of a video or an animation, the seconds from its beginning at which the score is reached; None of a picture.
    warning : str or None
        What kept a video from being looked at as a whole, and what else is to be known of it.
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
    device: str
    jpeg: str
    blas: str
    every: float | None
    max_time: float | None
    warning: str | None
    version: str
    seconds: float | None
    scored_at: str

    def __post_init__(self) -> None:
        # Here, for what is read and what is written alike: one such row would make RESULTS unreadable.
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"score is {self.score!r}: expected 0 to 1")

    @property
    def set_up(self) -> Provenance:
        """What decided the score besides the picture."""
        return Provenance(*(getattr(self, name) for name in Provenance._fields))


COLUMNS = tuple(field.name for field in dataclasses.fields(Record))

DEFAULTS: dict[str, str | None] = {**Provenance._field_defaults, "max_time": None, "warning": None}
"""Columns that a file which was written before lacks, and what is read there."""
