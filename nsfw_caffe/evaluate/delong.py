"""The area under the ROC curve, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsfw_caffe.evaluate.intervals import LEVEL, Interval, normal_quantile
from nsfw_caffe.evaluate.labelled import Scores
from nsfw_caffe.evaluate.libraries import load
from nsfw_caffe.evaluate.samples import Samples, samples_of


@dataclass(frozen=True)
class Placements:
    """Where each sample stands among those of the other class, ties counting half."""

    nsfw: npt.NDArray[np.float64]  # for each nsfw sample, the share of the sfw samples with a lower score
    sfw: npt.NDArray[np.float64]  # for each sfw sample, the share of the nsfw samples with a higher score
    auc: float  # the mean of either


def placements(nsfw: Scores, sfw: Scores) -> Placements:
    """Return the placements of ascending scores, in O(n log n) as Sun and Xu do (IEEE SPL 21, 2014)."""
    # Twice the number of lower scores plus half the ties: whole numbers, so that the sum is exact.
    lower = np.searchsorted(sfw, nsfw, "left")
    lower += np.searchsorted(sfw, nsfw, "right")
    auc = int(lower.sum()) / (2 * len(nsfw) * len(sfw))
    not_higher = np.searchsorted(nsfw, sfw, "left")
    not_higher += np.searchsorted(nsfw, sfw, "right")
    return Placements(lower / (2 * len(sfw)), 1 - not_higher / (2 * len(nsfw)), auc)


def auc_interval(
    labels: npt.ArrayLike | Samples, scores: npt.ArrayLike | None = None, *, level: float = LEVEL
) -> Interval:
    """Return the confidence interval of the area under the ROC curve.

    It is that of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988), computed for the area's log odds and
    transformed back: so it stays within 0 and 1, and holds the truth more often where areas are close to 1, as good
    scores have them. Of a true area of 0.983, it held in 92 % of simulations at a level of 95 % with 50 nsfw and 200
    sfw samples and in 95 % with 500 of each (benchmarks/coverage.py); in 86 % and 94 % without the log odds.

    DeLong's variance is unknown with one sample of a class and 0 where the classes do not overlap; there it is
    Newcombe's fifth (Statistics in Medicine 25, 2006), which assumes exponential scores and has a width then too.

    Parameters
    ----------
    labels, scores
        See `Samples`.
    level : float, default 0.95
        Of confidence.

    Raises
    ------
    EvaluationError
        If the samples are unusable or of one class.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import auc_interval
    >>> interval = auc_interval([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> round(interval.low, 3), round(interval.high, 3), interval.method
    (0.069, 0.992, 'DeLong, logit')
    """
    samples = samples_of(labels, scores).need_both("the area under an ROC curve")
    return interval_of(placements(samples.nsfw, samples.sfw), level)


def interval_of(placed: Placements, level: float) -> Interval:
    """Return the interval of the area, see `auc_interval`."""
    z = normal_quantile(level)
    variance = delong_variance(placed)
    auc = placed.auc
    if not variance > 0 or auc in (0, 1):
        return _newcombe(auc, len(placed.nsfw), len(placed.sfw), z, level)
    expit = load("scipy.special").expit
    centre, half = math.log(auc / (1 - auc)), z * math.sqrt(variance) / (auc * (1 - auc))
    return Interval(float(expit(centre - half)), float(expit(centre + half)), level, "DeLong, logit")


def delong_variance(placed: Placements) -> float:
    """Return the variance of the area; nan with one sample of a class."""
    if min(len(placed.nsfw), len(placed.sfw)) < 2:
        return math.nan
    return float(placed.nsfw.var(ddof=1) / len(placed.nsfw) + placed.sfw.var(ddof=1) / len(placed.sfw))


def _newcombe(auc: float, nsfw: int, sfw: int, z: float, level: float) -> Interval:
    """Return the areas whose own standard error, times z, reaches to the one observed."""
    find_root = load("scipy.optimize").brentq
    others = (nsfw + sfw) / 2 - 1

    def beyond(area: float) -> float:
        variance = area * (1 - area) * (1 + others * ((1 - area) / (2 - area) + area / (1 + area))) / (nsfw * sfw)
        return (area - auc) ** 2 - z * z * variance

    low = 0.0 if auc == 0 else find_root(beyond, 0, auc if auc < 1 else 1 - 1e-12, xtol=1e-12)
    high = 1.0 if auc == 1 else find_root(beyond, auc if auc > 0 else 1e-12, 1, xtol=1e-12)
    return Interval(float(low), float(high), level, "Newcombe")
