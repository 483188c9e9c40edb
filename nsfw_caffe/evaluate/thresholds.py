"""Where to put a threshold."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.error_rates import Confusion, allowed, confusion, highest_threshold, lowest_threshold
from nsfw_caffe.evaluate.intervals import LEVEL, Interval, check_level, check_rate, clopper_pearson
from nsfw_caffe.evaluate.labelled import Scores
from nsfw_caffe.evaluate.libraries import load
from nsfw_caffe.evaluate.resampling import RESAMPLES, Counts, percentile_interval, resample, rows_of
from nsfw_caffe.evaluate.samples import Samples, samples_of

_Pick = Callable[[Counts, Counts], int | None]
"""From true and false positives at each of many ascending thresholds to the index of the one wanted, if there is."""


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
        Of the wanted rate at this threshold on new data of the same kind, and where that is precision, with as large a
        share of nsfw as these samples; None with a cost ratio, which wants none. It is `clopper_pearson`'s, with one
        end where `confident`. For FPR and FNR it holds at its level although the threshold was chosen on the same
        samples. For precision nothing ensures that, since the choice favours thresholds at which these samples happen
        to be precise; in simulations it held (benchmarks/coverage.py).
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

    Examples
    --------
    >>> from nsfw_caffe.evaluate import choose_threshold
    >>> labels, scores = [0] * 10 + [1] * 10, [number / 20 for number in range(20)]
    >>> choice = choose_threshold(labels, scores, fpr=0.1)
    >>> choice.threshold, choice.goal, choice.fpr, choice.fnr
    (0.45, 'FPR <= 0.1', 0.1, 0.0)
    >>> round(choice.rate_interval.high, 2)  # what it may be on new data
    0.45
    """
    wanted = {"fpr": fpr, "fnr": fnr, "precision": precision, "cost_ratio": cost_ratio}
    given = [(name, value) for name, value in wanted.items() if value is not None]
    if len(given) != 1:
        raise TypeError("expected one of fpr, fnr, precision and cost_ratio")
    ((name, value),) = given
    samples = samples_of(labels, scores).need_both("choosing a threshold")
    check_level(level)
    check_goal(name, value, confident)
    choose = {"fpr": _by_fpr, "fnr": _by_fnr, "precision": _by_precision, "cost_ratio": _by_cost_ratio}[name]
    found = choose(samples, value, _Terms(level, confident, seed))
    counts = confusion(samples, threshold=found.threshold)
    rates = (counts.fpr, counts.fnr, counts.precision)
    return ThresholdChoice(found.threshold, found.goal, counts, *rates, found.rate, found.of_threshold, confident)


def check_goal(name: str, value: float, confident: bool) -> None:
    """Refuse a goal whose value is none of its kind."""
    if name != "cost_ratio":
        check_rate(name, value)
    elif not 0 < value < math.inf:
        raise EvaluationError(f"cost_ratio={value}: expected a number above 0")
    elif confident:
        raise EvaluationError("a cost ratio has no rate to be confident of: leave out confident")


class _Terms(NamedTuple):
    """How sure to be: see `choose_threshold`."""

    level: float
    confident: bool
    seed: int


class _Found(NamedTuple):
    """A threshold, the goal as a text, and the intervals of the wanted rate and of the threshold."""

    threshold: float
    goal: str
    rate: Interval | None
    of_threshold: Interval


def _by_fpr(samples: Samples, wanted: float, terms: _Terms) -> _Found:
    """Return the lowest threshold whose false positive rate is `wanted` or less."""
    text = f"FPR <= {wanted:g}"
    threshold = lowest_threshold(samples, _most(text, wanted, len(samples.sfw), "sfw", terms))
    counts = confusion(samples, threshold=threshold)
    if not counts.true_positives:
        nearest = confusion(samples, threshold=samples.nsfw[-1])
        raise EvaluationError(
            f"{text} cannot be reached with any nsfw sample found: the nearest is FPR {nearest.fpr:.6g} at the "
            f"threshold {samples.nsfw[-1]:.6g}"
        )
    rate = _rate_interval(counts.false_positives, counts.sfw, terms, "upper")
    return _Found(threshold, text, rate, _order_statistics(samples.sfw, 1 - wanted, terms.level))


def _by_fnr(samples: Samples, wanted: float, terms: _Terms) -> _Found:
    """Return the highest threshold whose false negative rate is `wanted` or less."""
    text = f"FNR <= {wanted:g}"
    most = _most(text, wanted, len(samples.nsfw), "nsfw", terms)
    # Where all may be missed, the highest score is taken all the same: a threshold that finds nothing is none.
    threshold = highest_threshold(samples, min(most, len(samples.nsfw) - 1))
    counts = confusion(samples, threshold=threshold)
    rate = _rate_interval(counts.false_negatives, counts.nsfw, terms, "upper")
    return _Found(threshold, text, rate, _order_statistics(samples.nsfw, wanted, terms.level))


def _by_precision(samples: Samples, wanted: float, terms: _Terms) -> _Found:
    """Return the lowest threshold whose precision is `wanted` or more."""
    text = f"precision >= {wanted:g}"

    def precise(true_positives: Counts, false_positives: Counts) -> npt.NDArray[np.bool_]:
        return np.asarray(true_positives / np.maximum(true_positives + false_positives, 1) >= wanted)

    def pick(true_positives: Counts, false_positives: Counts) -> int | None:
        return _first(precise(true_positives, false_positives) & (true_positives > 0))

    candidates, found, alarms = _candidates(samples)
    good = precise(found, alarms)
    if terms.confident:
        # The bound is `wanted` or more where as many true positives are as improbable with that precision.
        chance = load("scipy.special").betainc(found[good], alarms[good] + 1, wanted)
        good[good] = chance <= 1 - terms.level
    index = _first(good)
    if index is None:
        best = int(np.argmax(found / (found + alarms)))
        reached = found[best] / (found[best] + alarms[best])
        sure = f" with {terms.level:.6g} confidence" if terms.confident else ""
        raise EvaluationError(
            f"{text} cannot be reached{sure}: the highest precision in these samples is {reached:.6g}, "
            f"at the threshold {candidates[best]:.6g}, which finds {found[best]} of {len(samples.nsfw)}"
        )
    rate = _rate_interval(int(found[index]), int(found[index] + alarms[index]), terms, "lower")
    return _Found(float(candidates[index]), text, rate, _bootstrapped(samples, pick, terms))


def _by_cost_ratio(samples: Samples, ratio: float, terms: _Terms) -> _Found:
    """Return the lowest threshold of the lowest cost, where a missed nsfw sample costs `ratio` false alarms."""

    def pick(true_positives: Counts, false_positives: Counts) -> int | None:
        saved = ratio * true_positives - false_positives
        best = int(np.argmax(saved))
        return best if saved[best] >= 0 else None

    candidates, found, alarms = _candidates(samples)
    index = pick(found, alarms)
    if index is None:
        raise EvaluationError(
            f"with a cost ratio of {ratio:g} it is cheapest to take nothing for nsfw: a threshold pays from a ratio of "
            f"{(alarms / found).min():.6g}"
        )
    interval = _bootstrapped(samples, pick, terms)
    return _Found(float(candidates[index]), f"lowest cost at a ratio of {ratio:g}", None, interval)


def _most(text: str, wanted: float, total: int, name: str, terms: _Terms) -> int:
    """Return how many of a class may be on the wrong side."""
    most = allowed(wanted, total)
    if not terms.confident:
        return most

    def bound(count: int) -> float:
        return clopper_pearson(count, total, level=terms.level, side="upper").high

    enough = bisect.bisect_right(range(most + 1), wanted, key=bound) - 1
    if enough < 0:
        needed = math.ceil(math.log(1 - terms.level) / math.log1p(-wanted)) if wanted else None
        raise EvaluationError(
            f"{text} cannot be shown with {terms.level:.6g} confidence by {total} {name} samples: "
            f"{f'{needed} are needed' if needed else 'no number is enough'}, and the nearest is {bound(0):.6g}"
        )
    return enough


def _rate_interval(count: int, total: int, terms: _Terms, side: str) -> Interval:
    return clopper_pearson(count, total, level=terms.level, side=side if terms.confident else "both")


def _order_statistics(scores: Scores, share: float, level: float) -> Interval:
    """Return the interval of a quantile (David and Nagaraja, Order Statistics, 2003, section 7.1)."""
    quantile = load("scipy.stats").binom.ppf
    first, last = (int(quantile(tail, len(scores), share)) for tail in ((1 - level) / 2, (1 + level) / 2))
    low = float(scores[first - 1]) if first > 0 else 0.0
    high = float(scores[last]) if last < len(scores) else 1.0
    return Interval(low, high, level, "order statistics")


def _candidates(samples: Samples) -> tuple[Scores, Counts, Counts]:
    """Return the nsfw samples' scores, ascending, each once, and the true and false positives at each.

    A threshold between two of them has the true positives of the upper one, and no fewer false ones.
    """
    scores, starts = np.unique(samples.nsfw, return_index=True)
    return scores, len(samples.nsfw) - starts, len(samples.sfw) - np.searchsorted(samples.sfw, scores)


def _first(good: npt.NDArray[np.bool_]) -> int | None:
    index = int(good.argmax())
    return index if good[index] else None


def _bootstrapped(samples: Samples, pick: _Pick, terms: _Terms) -> Interval:
    """Return the interval of the threshold that is picked; 1 where none is in a resample."""
    labels, scores, counts = rows_of(samples)
    candidates, nsfw_counts = scores[labels], counts[labels]
    # How many sfw samples lie below the first candidate, between it and the second, and so on.
    between = np.searchsorted(candidates, scores[~labels], "right")
    sfw_counts = np.bincount(between, counts[~labels], len(candidates) + 1).astype(np.int64)
    rng = np.random.default_rng(terms.seed)
    thresholds = np.ones(RESAMPLES)
    for number in range(RESAMPLES):
        found, alarms = (np.cumsum(resample(rng, part)[::-1])[::-1] for part in (nsfw_counts, sfw_counts))
        index = pick(found, alarms[1:])
        if index is not None:
            thresholds[number] = candidates[index]
    return percentile_interval(thresholds, terms.level, len(samples))
