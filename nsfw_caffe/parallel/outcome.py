"""What became of one source on its way through preprocessing and engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from nsfw_caffe.errors import ImageError, ScoreError
from nsfw_caffe.preprocessing.decoder_warnings import collected


class Outcome(NamedTuple):
    """What became of one source."""

    score: float | ImageError | ScoreError
    """The result, or what is wrong; features in place of a float where the model gives those."""
    seconds: float
    """How long it was worked on, waiting left out; its share where several were computed together."""
    warnings: tuple[str, ...] = ()
    """What was said of the picture meanwhile: see `Result`."""
    max_time: float | None = None
    """Of a video, the seconds from its beginning at which the score is reached."""


def timed(compute: Callable[[], Any]) -> Outcome:
    """Compute a score and note how long that took."""
    start = time.perf_counter()
    with collected() as said:
        try:
            score: float | ImageError | ScoreError = compute()
        except (ImageError, ScoreError) as error:
            score = error
    return Outcome(score, time.perf_counter() - start, tuple(said))
