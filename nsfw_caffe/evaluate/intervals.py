"""How sure a rate is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.libraries import load

LEVEL = 0.95
"""The share of intervals that hold the truth, unless another is asked for."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes
    ----------
    low, high : float
        Its ends.
    level : float
        The share of such intervals, over many samples, that hold the true value: 0.95 for example.
    method : str
        What it was computed with: "Wilson" for example.
    """

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True)
class Share:
    """So many of so many.

    Attributes
    ----------
    count, total : int
        How many, of how many.
    level : float
        Of the interval.
    """

    count: int
    total: int
    level: float = LEVEL

    @property
    def value(self) -> float:
        """The share, 0 to 1; nan where the total is 0."""
        return self.count / self.total if self.total else math.nan

    @cached_property
    def interval(self) -> Interval:
        """Wilson's interval of the share."""
        return wilson(self.count, self.total, level=self.level)


def wilson(count: int, total: int, *, level: float = LEVEL) -> Interval:
    """Return the score interval of a share (Wilson, JASA 22, 1927).

    Parameters
    ----------
    count, total : int
        How many, of how many independent samples; of none, the interval is 0 to 1.
    level : float, default 0.95
        Of confidence.

    Raises
    ------
    EvaluationError
        If `level` is not between 0 and 1, or `count` not from 0 to `total`, or SciPy is not installed.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import wilson
    >>> interval = wilson(15, 148)
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.0624, 0.1605)
    """
    _check(count, total, level)
    if not total:
        return Interval(0.0, 1.0, level, "Wilson")
    low, high = load("scipy.stats").binomtest(count, total).proportion_ci(level, "wilson")
    return Interval(float(low), float(high), level, "Wilson")


def clopper_pearson(count: int, total: int, *, level: float = LEVEL, side: str = "both") -> Interval:
    """Return the exact interval of a share (Clopper and Pearson, Biometrika 26, 1934).

    It is also that of the true rate at a threshold that was put where `count` of `total` sample scores are beyond it.
    Such a threshold lies between two order statistics, and the true rates there are distributed as
    Beta(count, total - count + 1) and Beta(count + 1, total - count), whatever the distribution of scores (David and
    Nagaraja, Order Statistics, 2003, section 2.1): the ends are quantiles of these two.

    Parameters
    ----------
    count, total, level
        As for `wilson`; the true coverage is `level` or more.
    side : str, default "both"
        "upper" bounds the share from above alone, from 0, and "lower" from below alone, to 1.

    Raises
    ------
    EvaluationError
        If `level` is not between 0 and 1, or `count` not from 0 to `total`, or SciPy is not installed.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import clopper_pearson
    >>> interval = clopper_pearson(15, 148)
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.0578, 0.1617)
    >>> clopper_pearson(0, 299, side="upper").high < 0.01  # why 299 samples are needed for 1 %
    True
    """
    _check(count, total, level)
    tail = (1 - level) / 2 if side == "both" else 1 - level
    beta = load("scipy.special")  # binomtest's "exact" is a search for the same two numbers, 300 times as slow
    low = 0.0 if count == 0 or side == "upper" else float(beta.betaincinv(count, total - count + 1, tail))
    high = 1.0 if count == total or side == "lower" else float(beta.betaincinv(count + 1, total - count, 1 - tail))
    return Interval(low, high, level, "Clopper-Pearson" if side == "both" else f"Clopper-Pearson, {side} bound")


def normal_quantile(level: float) -> float:
    """Return how many standard deviations either side hold this share of a normal distribution."""
    check_level(level)
    return NormalDist().inv_cdf((1 + level) / 2)


def normal_p_value(z: float) -> float:
    """Return how probable a standard normal deviate is that lies this far from 0, either side, or farther."""
    return math.erfc(abs(z) / math.sqrt(2))


def check_level(level: float) -> None:
    """Refuse a level of confidence that is none."""
    if not 0 < level < 1:
        raise EvaluationError(f"level={level}: expected a share between 0 and 1, 0.95 for example")


def check_rate(name: str, rate: float) -> None:
    """Refuse what is no share, a NaN among others."""
    if not 0 <= rate <= 1:
        raise EvaluationError(f"{name}={rate}: expected a share from 0 to 1")


def _check(count: int, total: int, level: float) -> None:
    check_level(level)
    if not 0 <= count <= total:
        raise EvaluationError(f"{count} of {total}: expected a count from 0 to the total")
