"""What a threshold gets right and wrong, and the best of one error rate where the other is bounded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.intervals import LEVEL, Interval, Share, check_rate, clopper_pearson, wilson
from nsfw_caffe.evaluate.samples import Samples, samples_of


@dataclass(frozen=True)
class Confusion:
    """How many samples of each class have a score of the threshold or more, and how many less.

    Attributes
    ----------
    true_positives, false_negatives : int
        The nsfw samples at or above the threshold, and below it.
    false_positives, true_negatives : int
        The sfw samples at or above the threshold, and below it.
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def nsfw(self) -> int:
        """How many nsfw samples there are."""
        return self.true_positives + self.false_negatives

    @property
    def sfw(self) -> int:
        """How many sfw samples there are."""
        return self.false_positives + self.true_negatives

    @property
    def fpr(self) -> float:
        """The false positive rate, the share of the sfw samples taken for nsfw; nan without any."""
        return self.share("fpr").value

    @property
    def fnr(self) -> float:
        """The false negative rate, the share of the nsfw samples taken for sfw; nan without any."""
        return self.share("fnr").value

    @property
    def recall(self) -> float:
        """The share of the nsfw samples found, the true positive rate; nan without any."""
        return self.share("recall").value

    @property
    def precision(self) -> float:
        """The share of nsfw samples among those taken for nsfw; nan where none is."""
        return self.share("precision").value

    @property
    def accuracy(self) -> float:
        """The share of samples taken for what they are."""
        return self.share("accuracy").value

    def share(self, rate: str, *, level: float = LEVEL) -> Share:
        """Return a rate as a count of a total, with its interval.

        Parameters
        ----------
        rate : str
            "fpr", "fnr", "recall", "precision" or "accuracy".
        level : float, default 0.95
            Of the interval.

        Raises
        ------
        EvaluationError
            If `rate` is none of these.
        """
        found = self.true_positives
        shares = {
            "fpr": (self.false_positives, self.sfw),
            "fnr": (self.false_negatives, self.nsfw),
            "recall": (found, self.nsfw),
            "precision": (found, found + self.false_positives),
            "accuracy": (found + self.true_negatives, self.nsfw + self.sfw),
        }
        if rate not in shares:
            raise EvaluationError(f"rate={rate!r}: expected one of {', '.join(shares)}")
        return Share(*shares[rate], level)

    def interval(self, rate: str, *, level: float = LEVEL) -> Interval:
        """Return Wilson's interval of a rate, as named for `share`: 0 to 1 where the rate is undefined."""
        return self.share(rate, level=level).interval


def confusion(labels: npt.ArrayLike | Samples, scores: npt.ArrayLike | None = None, *, threshold: float) -> Confusion:
    """Count what a threshold gets right and wrong; it works with one class too.

    Parameters
    ----------
    labels, scores
        See `Samples`.
    threshold : float
        A sample is taken for nsfw where its score is this or more; inf takes none.

    Raises
    ------
    EvaluationError
        If the samples are unusable, or `threshold` is a NaN.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import confusion
    >>> counts = confusion([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], threshold=0.5)
    >>> counts
    Confusion(true_positives=1, false_positives=0, true_negatives=2, false_negatives=1)
    >>> counts.fpr, counts.recall
    (0.0, 0.5)
    """
    samples = samples_of(labels, scores)
    if math.isnan(threshold):
        raise EvaluationError("threshold=nan: expected a number")
    missed = int(np.searchsorted(samples.nsfw, threshold))
    passed = int(np.searchsorted(samples.sfw, threshold))
    return Confusion(len(samples.nsfw) - missed, len(samples.sfw) - passed, passed, missed)


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

    Examples
    --------
    >>> from nsfw_caffe.evaluate import fpr_at_fnr
    >>> best = fpr_at_fnr([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], fnr=0)
    >>> best.threshold, best.fpr, best.fnr
    (0.35, 0.5, 0.0)
    """
    samples = samples_of(labels, scores).need_both("a false positive rate at a false negative rate")
    check_rate("fnr", fnr)
    return _rates_at(samples, highest_threshold(samples, allowed(fnr, len(samples.nsfw))), "fnr", level)


def fnr_at_fpr(
    labels: npt.ArrayLike | Samples, scores: npt.ArrayLike | None = None, *, fpr: float, level: float = LEVEL
) -> RateAt:
    """Return the lowest false negative rate that a threshold reaches with a false positive rate of `fpr` or less.

    Parameters
    ----------
    labels, scores, level
        As for `fpr_at_fnr`.
    fpr : float
        The bound, 0 to 1.

    Raises
    ------
    EvaluationError
        If the samples are unusable or of one class, or `fpr` is no share.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import fnr_at_fpr
    >>> best = fnr_at_fpr([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], fpr=0)
    >>> best.threshold, best.fpr, best.fnr
    (0.8, 0.0, 0.5)
    """
    samples = samples_of(labels, scores).need_both("a false negative rate at a false positive rate")
    check_rate("fpr", fpr)
    return _rates_at(samples, lowest_threshold(samples, allowed(fpr, len(samples.sfw))), "fpr", level)


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


def _rates_at(samples: Samples, threshold: float, bounded: str, level: float) -> RateAt:
    counts = confusion(samples, threshold=threshold)
    fpr, fnr = (
        (clopper_pearson if rate == bounded else wilson)(share.count, share.total, level=level)
        for rate, share in (("fpr", counts.share("fpr")), ("fnr", counts.share("fnr")))
    )
    return RateAt(threshold, counts.fpr, counts.fnr, fpr, fnr)
