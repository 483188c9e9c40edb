"""The best of one error rate where the other is bounded: the measure of the model's authors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsfw_caffe.evaluate.confusions import confusion
from nsfw_caffe.evaluate.intervals import LEVEL, Interval, check_rate, clopper_pearson, wilson
from nsfw_caffe.evaluate.samples import Samples, samples_of


@dataclass(frozen=True)
class RateAt:
    """The error rates at the threshold where one is bounded and the other is best.

    Attributes
    ----------
    threshold : float
        A score, or inf where the bound can be kept only if no sample is taken for nsfw.
    fpr, fnr : float
        The rates at this threshold in these samples, 0 to 1.
    fpr_interval, fnr_interval : Interval
        Of the true rates at this threshold: of the bounded rate, by which the threshold was chosen,
        `clopper_pearson`'s, which allows for that; of the other rate, Wilson's.
    """

    threshold: float
    fpr: float
    fnr: float
    fpr_interval: Interval
    fnr_interval: Interval


def fpr_at_fnr(
    labels: npt.ArrayLike | Samples, scores: npt.ArrayLike | None = None, *, fnr: float, level: float = LEVEL
) -> RateAt:
    """Return the lowest false positive rate that a threshold reaches with a false negative rate of `fnr` or less.

    Parameters
    ----------
    labels, scores
        See `Samples`.
    fnr : float
        The bound, 0 to 1.
    level : float, default 0.95
        Of the intervals.

    Raises
    ------
    EvaluationError
        If the samples are unusable or of one class, or `fnr` is no share.
    """
    samples = samples_of(labels, scores)
    samples.need_both("a false positive rate at a false negative rate")
    check_rate("fnr", fnr)
    counts = confusion(samples, threshold=(threshold := highest_threshold(samples, allowed(fnr, len(samples.nsfw)))))
    return RateAt(
        threshold,
        counts.fpr,
        counts.fnr,
        wilson(counts.false_positives, counts.sfw, level=level),
        clopper_pearson(counts.false_negatives, counts.nsfw, level=level),
    )


def fnr_at_fpr(
    labels: npt.ArrayLike | Samples, scores: npt.ArrayLike | None = None, *, fpr: float, level: float = LEVEL
) -> RateAt:
    """Return the lowest false negative rate that a threshold reaches with a false positive rate of `fpr` or less.

    Parameters
    ----------
    labels, scores
        See `Samples`.
    fpr : float
        The bound, 0 to 1.
    level : float, default 0.95
        Of the intervals.

    Raises
    ------
    EvaluationError
        If the samples are unusable or of one class, or `fpr` is no share.
    """
    samples = samples_of(labels, scores)
    samples.need_both("a false negative rate at a false positive rate")
    check_rate("fpr", fpr)
    counts = confusion(samples, threshold=(threshold := lowest_threshold(samples, allowed(fpr, len(samples.sfw)))))
    return RateAt(
        threshold,
        counts.fpr,
        counts.fnr,
        clopper_pearson(counts.false_positives, counts.sfw, level=level),
        wilson(counts.false_negatives, counts.nsfw, level=level),
    )


def allowed(rate: float, total: int) -> int:
    """Return the most of `total` whose share, as a float, is `rate` or less."""
    count = min(int(rate * total) + 1, total)  # the product may be rounded down to below a whole number
    while count / total > rate:
        count -= 1
    return count


def highest_threshold(samples: Samples, misses: int) -> float:
    """Return the highest threshold with so many nsfw samples below it or fewer; inf where all may be."""
    return float(samples.nsfw[misses]) if misses < len(samples.nsfw) else math.inf


def lowest_threshold(samples: Samples, alarms: int) -> float:
    """Return the lowest score with so many sfw samples at or above it or fewer; inf where no score has."""
    if alarms >= len(samples.sfw):
        return float(min(scores[0] for scores in (samples.sfw, samples.nsfw) if len(scores)))
    passed = samples.sfw[len(samples.sfw) - 1 - alarms]
    above = [
        float(scores[first])
        for scores in (samples.sfw, samples.nsfw)
        if (first := int(np.searchsorted(scores, passed, "right"))) < len(scores)
    ]
    return min(above, default=math.inf)
