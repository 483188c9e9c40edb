"""Where to put a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.confusions import Confusion, confusion
from nsfw_caffe.evaluate.goals import Terms, by_cost_ratio, by_fnr, by_fpr, by_precision
from nsfw_caffe.evaluate.intervals import LEVEL, Interval, check_level, check_rate
from nsfw_caffe.evaluate.samples import Samples, samples_of

_GOALS = {"fpr": by_fpr, "fnr": by_fnr, "precision": by_precision, "cost_ratio": by_cost_ratio}


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold, and what to expect of it.

    Attributes
    ----------
    threshold : float
        One of the scores; a sample is taken for nsfw where its score is this or more.
    goal : str
        What it was chosen for: "FPR <= 0.01" for example.
    confusion : Confusion
        What it gets right and wrong in these samples.
    fpr, fnr, precision : float
        Its rates in these samples, 0 to 1.
    rate_interval : Interval or None
        Of the wanted rate at this threshold on new data of the same kind; None with a cost ratio, which wants none.
        It is `clopper_pearson`'s, with one end where `confident`. For FPR and FNR it holds at its level although the
        threshold was chosen on the same samples. For precision nothing ensures that, since the choice favours
        thresholds at which these samples happen to be precise; in simulations it held (benchmarks/coverage.py). None of
        them covers data of another kind, and precision is that of data with as large a share of nsfw as these samples.
    threshold_interval : Interval
        Of the threshold that has the wanted rate, or costs least, in the long run. For FPR and FNR it lies between two
        order statistics, for the others it is a bootstrap's.
    confident : bool
        Whether the goal is met on new data too, at the level of confidence.
    """

    threshold: float
    goal: str
    confusion: Confusion
    fpr: float
    fnr: float
    precision: float
    rate_interval: Interval | None
    threshold_interval: Interval
    confident: bool


def choose_threshold(
    labels: npt.ArrayLike | Samples,
    scores: npt.ArrayLike | None = None,
    *,
    fpr: float | None = None,
    fnr: float | None = None,
    precision: float | None = None,
    cost_ratio: float | None = None,
    confident: bool = False,
    level: float = LEVEL,
    seed: int = 0,
) -> ThresholdChoice:
    """Choose a threshold by one goal.

    Parameters
    ----------
    labels, scores
        See `Samples`.
    fpr : float, optional
        The false positive rate, at most; of the thresholds with it, that with the lowest false negative rate.
    fnr : float, optional
        The false negative rate, at most; of the thresholds with it, that with the lowest false positive rate.
    precision : float, optional
        The precision, at least; of the thresholds with it, the lowest, which finds most.
    cost_ratio : float, optional
        What an nsfw sample taken for sfw costs, where an sfw sample taken for nsfw costs 1; the threshold is that of
        the lowest cost, for as large a share of nsfw as these samples have.
    confident : bool, default False
        Choose so that the goal is met on new data too, at the level of confidence: not the rate in these samples but
        its `clopper_pearson` bound meets it. Without it, the goal is met on new data in about half of all cases.
    level : float, default 0.95
        Of confidence.
    seed : int, default 0
        Of the bootstrap.

    Raises
    ------
    TypeError
        If there is not just one goal.
    EvaluationError
        If the samples are unusable or of one class, or a goal is no share, or the goal cannot be reached; the message
        says what can.
    """
    wanted = {"fpr": fpr, "fnr": fnr, "precision": precision, "cost_ratio": cost_ratio}
    given = [(name, value) for name, value in wanted.items() if value is not None]
    if len(given) != 1:
        raise TypeError("expected one of fpr, fnr, precision and cost_ratio")
    ((name, value),) = given
    samples = samples_of(labels, scores)
    samples.need_both("choosing a threshold")
    check_level(level)
    if name != "cost_ratio":
        check_rate(name, value)
    elif not 0 < value < math.inf:
        raise EvaluationError(f"cost_ratio={value}: expected a number above 0")
    found = _GOALS[name](samples, value, Terms(level, confident, seed))
    counts = confusion(samples, threshold=found.threshold)
    return ThresholdChoice(
        found.threshold,
        found.text,
        counts,
        counts.fpr,
        counts.fnr,
        counts.precision,
        found.rate_interval,
        found.threshold_interval,
        confident,
    )
