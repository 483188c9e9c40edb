"""What became of one source on its way through preprocessing and engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import ImageError, ScoreError
from nsfw_caffe.preprocessing.decoder_warnings import collected

_ROUNDING = 1e-5
"""How far from 1 the sum of two float32 probabilities may be; 1e-7 was seen, with bfloat16 too."""


class Outcome(NamedTuple):
    """What became of one source.

    Attributes
    ----------
    score : float, ImageError or ScoreError
        The NSFW probability, 0 to 1, or what is wrong with the source or with what the network makes of it.
    seconds : float
        How long it was worked on, waiting left out; its share where several were computed together.
    warnings : tuple of str
        What was said of the picture meanwhile: see `Result`.
    """

    score: float | ImageError | ScoreError
    seconds: float
    warnings: tuple[str, ...] = ()


def timed(compute: Callable[[], float]) -> Outcome:
    """Compute a score and note how long that took."""
    start = time.perf_counter()
    with collected() as said:
        try:
            score: float | ImageError | ScoreError = compute()
        except (ImageError, ScoreError) as error:
            score = error
    return Outcome(score, time.perf_counter() - start, tuple(said))


def score_of(output: npt.NDArray[np.float32]) -> float:
    """Take the score from the network's output for one picture: every score of this library comes from here.

    Parameters
    ----------
    output : numpy.ndarray
        float32, (2,): the probabilities of sfw and nsfw.

    Returns
    -------
    float
        The second, 0 to 1.

    Raises
    ------
    ScoreError
        If they are no probabilities. Both are looked at: of two numbers that are not finite, OpenVINO's softmax may
        make NaN and 0.
    """
    sfw, nsfw = output.tolist()
    if not (0 <= sfw <= 1 and 0 <= nsfw <= 1 and abs(sfw + nsfw - 1) <= _ROUNDING):
        raise ScoreError(f"the network's output is {sfw:g} and {nsfw:g}, not two probabilities: the model is at fault")
    return float(nsfw)
