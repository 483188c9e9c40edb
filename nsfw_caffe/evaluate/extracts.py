"""The few of many samples, and of a curve's points, that people look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsfw_caffe.evaluate.curves import Roc
from nsfw_caffe.evaluate.labelled import Scores
from nsfw_caffe.evaluate.samples import Samples

BINS = 50
"""Of the histograms of scores."""


STEPS = 500
"""Of the scale of thresholds, where rates are drawn over it."""


@dataclass(frozen=True)
class Mistake:
    """A sample on the wrong side of the others of its class.

    Attributes
    ----------
    index : int
        Its place in the data.
    source : str or None
        Its name, where the data has names.
    score : float
        Its score.
    """

    index: int
    source: str | None
    score: float


@dataclass(frozen=True, eq=False)
class RateCurves:
    """The two kinds of mistake, by threshold.

    Attributes
    ----------
    thresholds : numpy.ndarray
        float64, (STEPS + 1,), from 0 to 1 in equal steps.
    fpr, fnr : numpy.ndarray
        float64, (STEPS + 1,): the rates at each threshold.
    """

    thresholds: Scores
    fpr: Scores
    fnr: Scores


def rate_curves(samples: Samples) -> RateCurves:
    """Return the rates of mistakes at thresholds in equal steps, which the points of an ROC curve are not."""
    thresholds = np.linspace(0, 1, STEPS + 1)
    passed, missed = (np.searchsorted(scores, thresholds) / len(scores) for scores in (samples.sfw, samples.nsfw))
    return RateCurves(thresholds, 1 - passed, missed)


def worst(samples: Samples, sources: Sequence[str] | None, count: int, *, nsfw: bool) -> tuple[Mistake, ...]:
    """Return the samples of a class that are farthest on the other's side, the worst first.

    Parameters
    ----------
    samples : Samples
        All of them.
    sources : sequence of str or None
        Their names.
    count : int
        How many to return, at most.
    nsfw : bool
        The class: of the nsfw samples the lowest scores are the worst, of the sfw ones the highest.
    """
    ascending = samples.nsfw if nsfw else samples.sfw
    count = min(count, len(ascending))
    if not count:
        return ()
    limit = ascending[count - 1] if nsfw else ascending[-count]
    beyond = samples.scores <= limit if nsfw else samples.scores >= limit
    among = np.flatnonzero(beyond & (samples.labels == nsfw))
    # Of equal scores the first in the data come first.
    order = np.argsort(samples.scores[among] if nsfw else -samples.scores[among], kind="stable")
    return tuple(
        Mistake(int(place), None if sources is None else sources[int(place)], float(samples.scores[place]))
        for place in among[order[:count]]
    )


def histogram(scores: Scores) -> npt.NDArray[np.int64]:
    """Count scores in BINS bins of equal width; 1 falls into the last one."""
    counts, _ = np.histogram(scores, BINS, (0, 1))
    return counts.astype(np.int64)


def thin_roc(curve: Roc, points: int) -> Roc:
    """Return an ROC curve of fewer points that looks the same, with a logarithmic axis of rates too.

    Parameters
    ----------
    curve : Roc
        The curve; its area is kept.
    points : int
        How many points there may be, 8 or more. Half of them lie evenly along the curve, half along the logarithm of
        the false positive rate; both ends are among them.
    """
    if len(curve.fpr) <= points:
        return curve
    first = curve.fpr[curve.fpr > 0][0]
    ways = (curve.fpr + curve.tpr, np.log10(np.maximum(curve.fpr, first)))
    wanted = points // (2 * len(ways))
    after = np.concatenate([np.searchsorted(way, np.linspace(way[0], way[-1], wanted)) for way in ways])
    # With the point before each: where the curve jumps, both ends of the jump are kept.
    chosen = np.unique(np.concatenate([after, after - 1]).clip(0, len(curve.fpr) - 1))
    chosen[[0, -1]] = 0, len(curve.fpr) - 1
    return dataclasses.replace(curve, fpr=curve.fpr[chosen], tpr=curve.tpr[chosen], thresholds=curve.thresholds[chosen])
