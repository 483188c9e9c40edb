"""Intervals of the measures that have no formula for theirs: bootstraps, sorted once for all resamples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nsfw_caffe.evaluate.intervals import LEVEL, Interval
from nsfw_caffe.evaluate.resampling import RESAMPLES, Statistic, bootstrap, rows_of
from nsfw_caffe.evaluate.samples import Samples

Weights = npt.NDArray[np.int64]


def average_precision_interval(
    samples: Samples, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Interval:
    """Return the interval of the average precision, for as large a share of nsfw as the samples have.

    Parameters
    ----------
    samples : Samples
        Of both classes.
    resamples, level, seed
        See `bootstrap`.
    """
    return bootstrap(samples, statistic=_average_precision(samples), resamples=resamples, level=level, seed=seed)


def brier_interval(samples: Samples, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0) -> Interval:
    """Return the interval of the Brier score; parameters as for `average_precision_interval`."""
    labels, scores, _ = rows_of(samples)
    errors = (scores - labels) ** 2

    def brier(_labels: object, _scores: object, *, sample_weight: Weights) -> float:
        return float(errors @ sample_weight) / len(samples)

    return bootstrap(samples, statistic=brier, resamples=resamples, level=level, seed=seed)


def ece_interval(
    samples: Samples, ece: float, bins: int, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Interval:
    """Return the interval of the expected calibration error over bins of one width.

    Chance alone makes the error of a sample too large, and that of a resample once more as much: the percentiles of
    resamples would lie too high. Their distances from the sample's error, taken to its other side, make up for that
    (the basic bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2).

    Parameters
    ----------
    samples : Samples
        Of both classes.
    ece : float
        The error in these samples: see `calibration`.
    bins : int
        How many bins of one width.
    resamples, level, seed
        See `bootstrap`.
    """
    drawn = bootstrap(samples, statistic=_ece(samples, bins), resamples=resamples, level=level, seed=seed)
    low, high = (max(2 * ece - end, 0.0) for end in (drawn.high, drawn.low))
    return Interval(low, high, level, drawn.method.replace("bootstrap", "basic bootstrap"))


def _average_precision(samples: Samples) -> Statistic:
    labels, scores, _ = rows_of(samples)
    order = np.argsort(-scores, kind="stable")
    labels, scores = labels[order], scores[order]
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True))  # of each distinct score, which is flagged as a whole

    def statistic(_labels: object, _scores: object, *, sample_weight: Weights) -> float:
        weights = sample_weight[order]
        flagged, found = np.cumsum(weights)[last], np.cumsum(weights * labels)[last]
        precision = found / np.maximum(flagged, 1)
        return float(np.diff(found, prepend=0) @ precision) / int(found[-1])

    return statistic


def _ece(samples: Samples, bins: int) -> Statistic:
    labels, scores, _ = rows_of(samples)
    places = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], scores)
    gaps = scores - labels

    def statistic(_labels: object, _scores: object, *, sample_weight: Weights) -> float:
        return float(np.abs(np.bincount(places, gaps * sample_weight)).sum()) / len(samples)

    return statistic
