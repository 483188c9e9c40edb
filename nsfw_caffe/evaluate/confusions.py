"""What a threshold gets right and wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.intervals import LEVEL, Interval, Share
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

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; nan where there are no nsfw samples and none is taken for one."""
        wrong = self.false_positives + self.false_negatives
        total = 2 * self.true_positives + wrong
        return 2 * self.true_positives / total if total else math.nan

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
    """
    samples = samples_of(labels, scores)
    if math.isnan(threshold):
        raise EvaluationError("threshold=nan: expected a number")
    missed = int(np.searchsorted(samples.nsfw, threshold))
    passed = int(np.searchsorted(samples.sfw, threshold))
    return Confusion(len(samples.nsfw) - missed, len(samples.sfw) - passed, passed, missed)
