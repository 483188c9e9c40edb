"""ROC and precision-recall curves, and what else is drawn over scores and thresholds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TypeVar, final

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.delong import interval_of, placements
from nsfw_caffe.evaluate.intervals import LEVEL, Interval
from nsfw_caffe.evaluate.libraries import load
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.evaluate.resampling import Counts, bootstrap_unstratified, rows_of
from nsfw_caffe.evaluate.samples import Samples, samples_of

Floats = npt.NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Roc:
    """An ROC curve.

    Attributes
    ----------
    fpr, tpr : numpy.ndarray
        float64, (k,), ascending: shares of the sfw and of the nsfw samples with a score of the threshold or more.
    thresholds : numpy.ndarray
        float64, (k,), descending: the first is inf, the others are scores.
    auc : float
        The area under the curve, 0 to 1.
    auc_interval : Interval
        See `nsfw_caffe.evaluate.auc_interval`.
    """

    fpr: Floats
    tpr: Floats
    thresholds: Floats
    auc: float
    auc_interval: Interval


@final
@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """A precision-recall curve.

    Attributes
    ----------
    precision, recall : numpy.ndarray
        float64, (k + 1,): at each threshold, and at the end 1 and 0, where nothing is found.
    thresholds : numpy.ndarray
        float64, (k,), ascending: the distinct scores.
    average_precision : float
        The sum of precisions, each times the recall that its threshold adds; not the trapezoids' area.
    """

    precision: Floats
    recall: Floats
    thresholds: Floats
    average_precision: float


@dataclass(frozen=True, eq=False)
class RateCurves:
    """The two kinds of mistake at thresholds from 0 to 1 in equal steps: float64, (STEPS + 1,) each."""

    thresholds: Floats
    fpr: Floats
    fnr: Floats


Curve = TypeVar("Curve", Roc, PrecisionRecall)

BINS = 50
"""Of the histograms of scores."""

STEPS = 500
"""Of the scale of thresholds, where rates are drawn over it."""

_HALVINGS = 8
"""How often `thin` halves its steps at most: a step is then far below a pixel."""


def roc(labels: npt.ArrayLike | Samples, scores: npt.ArrayLike | None = None, *, level: float = LEVEL) -> Roc:
    """Return the ROC curve: scikit-learn's, without the points that lie on a straight line between their neighbours.

    Parameters
    ----------
    labels, scores
        See `Samples`.
    level : float, default 0.95
        Of the area's interval.

    Raises
    ------
    EvaluationError
        If the samples are unusable or of one class, or scikit-learn is not installed.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import roc
    >>> curve = roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> curve.auc
    0.75
    >>> curve.fpr.tolist(), curve.tpr.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    >>> curve.thresholds.tolist()
    [inf, 0.8, 0.4, 0.35, 0.1]
    """
    samples = samples_of(labels, scores).need_both("an ROC curve")
    fpr, tpr, thresholds = load("sklearn.metrics").roc_curve(*samples.in_two_runs())
    placed = placements(samples.nsfw, samples.sfw)
    return Roc(fpr, tpr, thresholds, placed.auc, interval_of(placed, level))


def precision_recall(labels: npt.ArrayLike | Samples, scores: npt.ArrayLike | None = None) -> PrecisionRecall:
    """Return the precision-recall curve, as scikit-learn has it.

    Parameters
    ----------
    labels, scores
        See `Samples`.

    Raises
    ------
    EvaluationError
        If the samples are unusable or of one class, or scikit-learn is not installed.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import precision_recall
    >>> curve = precision_recall([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> curve.recall.tolist()
    [1.0, 1.0, 0.5, 0.5, 0.0]
    >>> round(curve.average_precision, 4)
    0.8333
    """
    samples = samples_of(labels, scores).need_both("a precision-recall curve")
    precision, recall, thresholds = load("sklearn.metrics").precision_recall_curve(*samples.in_two_runs())
    return PrecisionRecall(precision, recall, thresholds, -float(np.dot(np.diff(recall), precision[:-1])))


def thin(curve: Curve, points: int) -> Curve:
    """Return a curve of fewer points that looks the same.

    Points are left out so that those kept lie evenly along the curve, the two ends among them; what is left out is
    nowhere farther from a point kept than the curve's length over ``points - 1``.

    Parameters
    ----------
    curve : Roc or PrecisionRecall
        The curve; the area and the average precision are kept.
    points : int
        How many points there may be, 2 or more.

    Raises
    ------
    EvaluationError
        If `points` is less than 2.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import roc, thin
    >>> curve = roc([0, 1] * 50, [number / 100 for number in range(100)])
    >>> len(curve.fpr), len(thin(curve, 10).fpr)
    (101, 10)
    """
    if points < 2:
        raise EvaluationError(f"points={points}: a curve has 2 or more")
    x, y = (curve.fpr, curve.tpr) if isinstance(curve, Roc) else (curve.recall, curve.precision)
    if len(x) <= points:
        return curve
    kept = _evenly(np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]), points)
    if isinstance(curve, Roc):
        return dataclasses.replace(curve, fpr=x[kept], tpr=y[kept], thresholds=curve.thresholds[kept])
    return dataclasses.replace(curve, recall=x[kept], precision=y[kept], thresholds=curve.thresholds[kept[:-1]])


def _evenly(way: Floats, points: int) -> npt.NDArray[np.intp]:
    """Return the indices of so many points or fewer, spread over the way along a curve, with both ends."""
    kept = np.array([0, len(way) - 1])
    # Long straight pieces have no points to keep; finer steps use up what they leave.
    for steps in (points - 1) * 2 ** np.arange(_HALVINGS):
        finer = np.unique(np.searchsorted(way, np.linspace(0, way[-1], steps + 1)).clip(max=len(way) - 1))
        finer[-1] = len(way) - 1
        if len(finer) > points:
            break
        kept = finer
    return kept


def rate_curves(samples: Samples) -> RateCurves:
    """Return the rates of mistakes at thresholds in equal steps, which the points of an ROC curve are not."""
    thresholds = np.linspace(0, 1, STEPS + 1)
    passed, missed = (np.searchsorted(scores, thresholds) / len(scores) for scores in (samples.sfw, samples.nsfw))
    return RateCurves(thresholds, 1 - passed, missed)


def histogram(scores: Floats) -> npt.NDArray[np.int64]:
    """Count scores in BINS bins of equal width; 1 falls into the last one."""
    counts, _ = np.histogram(scores, BINS, (0, 1))
    return counts.astype(np.int64)


def thin_roc(curve: Roc, points: int) -> Roc:
    """Return an ROC curve of at most `points` (8 or more) that looks the same, with a logarithmic axis of rates too.

    Half of them lie evenly along the curve, half along the logarithm of the false positive rate; the area is kept.
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


def average_precision_interval(samples: Samples, options: Options) -> Interval:
    """Return the interval of the average precision of samples of both classes."""
    labels, scores, _ = rows_of(samples)
    order = np.argsort(-scores, kind="stable")
    labels, scores = labels[order], scores[order]
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True))  # of each distinct score, which is flagged as a whole

    def average_precision(counts: Counts) -> float:
        weights = counts[order]
        flagged, found = np.cumsum(weights)[last], np.cumsum(weights * labels)[last]
        precision = found / np.maximum(flagged, 1)
        return float(np.diff(found, prepend=0) @ precision) / int(found[-1])

    return bootstrap_unstratified(samples, average_precision, options)
