"""Two sets of scores of the same samples: two engines, two models."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.delong import Placements, auc_interval, delong_variance, interval_of, placements
from nsfw_caffe.evaluate.intervals import LEVEL, Interval, normal_p_value, normal_quantile
from nsfw_caffe.evaluate.labelled import LabelledScores, Scores
from nsfw_caffe.evaluate.libraries import load
from nsfw_caffe.evaluate.samples import Samples
from nsfw_caffe.results.record import Provenance

CELLS = 50
"""Of each axis of the grid of scores."""

FEW = 1000
"""Samples up to which each is kept, to be drawn as a dot."""

CHANGES = 100
"""How many changes of verdict are named."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """How scores b differ from scores a.

    Attributes
    ----------
    auc_a, auc_b, difference : float or None
        The areas under their ROC curves, and ``auc_b - auc_a``; None where the samples are of one class.
    difference_interval : Interval or None
        Of the true difference: "DeLong, paired", somewhat narrow with few samples: at a level of 95 % it held in 91 %
        of simulations with 50 nsfw and 200 sfw samples (benchmarks/coverage.py). "identical scores", without a width,
        where each score is the same. Where DeLong's has no variance, because areas are 1 or a class has one sample,
        "Newcombe" from the two areas' own intervals, which is wider than need be.
    p_value : float or None
        How probable a difference as large as this, or larger, is by chance, after DeLong; 1 for identical scores,
        None where DeLong's has no variance.
    threshold : float
        A sample is taken for nsfw where its score is this or more.
    became_nsfw, became_sfw : numpy.ndarray
        int64: indices of the samples that b alone, and that a alone, takes for nsfw, ascending.
    corrected, spoiled : int
        How many samples b alone, and a alone, takes for what they are.
    mcnemar_p_value : float
        How probable it is by chance that these two differ so much: McNemar's test, exact; 1 where no verdict differs.
    max_difference, mean_difference : float
        The largest and the mean absolute difference of a sample's two scores.
    correlation : float
        Pearson's, of the two scores; nan where either set is constant.
    """

    auc_a: float | None
    auc_b: float | None
    difference: float | None
    difference_interval: Interval | None
    p_value: float | None
    threshold: float
    became_nsfw: npt.NDArray[np.int64]
    became_sfw: npt.NDArray[np.int64]
    corrected: int
    spoiled: int
    mcnemar_p_value: float
    max_difference: float
    mean_difference: float
    correlation: float


@dataclass(frozen=True)
class Change:
    """A sample whose verdict differs; `index` is its place in the data."""

    index: int
    source: str | None
    nsfw: bool
    score_a: float
    score_b: float


@dataclass(frozen=True, eq=False)
class RunsCompared:
    """What `compare_runs` finds out.

    Attributes
    ----------
    name_a, name_b : str
        What the two sets of scores are called.
    nsfw, sfw : int
        Samples of each class.
    level : float
        Of the intervals.
    auc_interval_a, auc_interval_b : Interval or None
        Of the areas under the two ROC curves; None where the samples are of one class.
    figures : Comparison
        The areas, their difference, the verdicts and the distances.
    changes : tuple of Change
        Verdicts that differ, those with the largest difference of scores first, and of these the first CHANGES.
    grid : numpy.ndarray
        int64, (CELLS, CELLS): how many samples have their score a (rows) and their score b (columns) in each cell.
    dots_a, dots_b : numpy.ndarray
        float64, (n,): the scores themselves, of up to FEW samples; empty of more.
    set_ups_a, set_ups_b, versions : tuple
        The `Provenance` of each set-up that made the scores, and this library's versions, where they are known.
    """

    name_a: str
    name_b: str
    nsfw: int
    sfw: int
    level: float
    auc_interval_a: Interval | None
    auc_interval_b: Interval | None
    figures: Comparison
    changes: tuple[Change, ...]
    grid: npt.NDArray[np.int64]
    dots_a: Scores
    dots_b: Scores
    set_ups_a: tuple[Provenance, ...]
    set_ups_b: tuple[Provenance, ...]
    versions: tuple[str, ...]


def compare(
    labels: npt.ArrayLike, scores_a: npt.ArrayLike, scores_b: npt.ArrayLike, threshold: float, *, level: float = LEVEL
) -> Comparison:
    """Compare two sets of scores of the same samples.

    Parameters
    ----------
    labels : array_like
        bool or integers, (n,), as for `Samples`.
    scores_a, scores_b : array_like
        Real numbers, (n,): NSFW probabilities, 0 to 1.
    threshold : float
        A sample is taken for nsfw where its score is this or more.
    level : float, default 0.95
        Of the interval.

    Raises
    ------
    EvaluationError
        If the samples are unusable, or `threshold` is a NaN, or SciPy is not installed.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import compare
    >>> found = compare([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.1, 0.2, 0.7, 0.9], 0.5)
    >>> found.auc_a, found.auc_b, found.became_nsfw.tolist()
    (0.75, 1.0, [2])
    >>> found.corrected, found.spoiled
    (1, 0)
    """
    a, b = (Samples(labels, scores) for scores in (scores_a, scores_b))
    if math.isnan(threshold):
        raise EvaluationError("threshold=nan: expected a number")
    verdict_a, verdict_b = a.scores >= threshold, b.scores >= threshold
    became_nsfw, became_sfw = np.flatnonzero(~verdict_a & verdict_b), np.flatnonzero(verdict_a & ~verdict_b)
    corrected = int(a.labels[became_nsfw].sum() + (~a.labels[became_sfw]).sum())
    changed = len(became_nsfw) + len(became_sfw)
    mcnemar_p_value = load("scipy.stats").binomtest(corrected, changed).pvalue if changed else 1.0
    apart = np.abs(a.scores - b.scores)
    return Comparison(
        *_areas(a, b, level),
        threshold,
        became_nsfw,
        became_sfw,
        corrected,
        changed - corrected,
        float(mcnemar_p_value),
        float(apart.max()),
        float(apart.mean()),
        _correlation(a.scores, b.scores),
    )


def compare_runs(a: LabelledScores, b: LabelledScores, *, threshold: float = 0.5, level: float = LEVEL) -> RunsCompared:
    """Compare two sets of scores of the same labelled sources, in the same order.

    Parameters
    ----------
    a, b : LabelledScores
        The samples; where both have names, these have to be the same.
    threshold, level : float, default 0.5 and 0.95
        As for `compare`.

    Raises
    ------
    EvaluationError
        If the samples are unusable, or those of `a` are not those of `b`; the message says which differ.

    Examples
    --------
    >>> import numpy as np
    >>> from nsfw_caffe.evaluate import LabelledScores, compare_runs
    >>> labels = np.array([False, False, True, True])
    >>> sources = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    >>> a = LabelledScores(labels, np.array([0.1, 0.4, 0.35, 0.8]), sources)
    >>> b = LabelledScores(labels, np.array([0.1, 0.2, 0.7, 0.9]), sources)
    >>> [change.source for change in compare_runs(a, b).changes]
    ['c.jpg']
    """
    _check_same(a, b)
    figures = compare(a.labels, a.scores, b.scores, threshold, level=level)
    labels, scores_a, scores_b = np.asarray(a.labels), np.asarray(a.scores), np.asarray(b.scores)
    shown = len(labels) if len(labels) <= FEW else 0
    one_class = figures.auc_a is None
    nsfw = int(np.count_nonzero(labels))
    grid, _, _ = np.histogram2d(scores_a, scores_b, CELLS, ((0, 1), (0, 1)))
    changed = np.concatenate([figures.became_nsfw, figures.became_sfw])
    order = np.lexsort((changed, -np.abs(scores_a[changed] - scores_b[changed])))
    sources = a.sources if a.sources is not None else b.sources
    return RunsCompared(
        name_a=a.name,
        name_b=b.name,
        nsfw=nsfw,
        sfw=len(labels) - nsfw,
        level=level,
        auc_interval_a=None if one_class else auc_interval(labels, scores_a, level=level),
        auc_interval_b=None if one_class else auc_interval(labels, scores_b, level=level),
        figures=figures,
        changes=tuple(
            Change(i, None if sources is None else sources[i], bool(labels[i]), float(scores_a[i]), float(scores_b[i]))
            for i in changed[order[:CHANGES]].tolist()
        ),
        grid=grid.astype(np.int64),
        dots_a=scores_a[:shown],
        dots_b=scores_b[:shown],
        set_ups_a=tuple(a.set_ups),
        set_ups_b=tuple(b.set_ups),
        versions=tuple(dict.fromkeys((*a.versions, *b.versions))),
    )


def _check_same(a: LabelledScores, b: LabelledScores) -> None:
    if len(a.labels) != len(b.labels):
        raise EvaluationError(
            f"{len(a.labels):,} samples and {len(b.labels):,}: compare scores of the same sources; leave out what only "
            "one of the two has"
        )
    if a.sources is not None and b.sources is not None and list(a.sources) != list(b.sources):
        pairs = zip(a.sources, b.sources, strict=True)
        first = next(number for number, (one, other) in enumerate(pairs) if one != other)
        raise EvaluationError(
            f"sample {first} is {a.sources[first]} in the one and {b.sources[first]} in the other: bring both into the "
            "same order"
        )
    differ = np.flatnonzero(np.asarray(a.labels) != np.asarray(b.labels))
    if len(differ):
        first = int(differ[0])
        name = a.sources[first] if a.sources is not None else f"sample {first}"
        raise EvaluationError(f"{name} has two labels: give both sets of scores the same labels")


def _areas(
    a: Samples, b: Samples, level: float
) -> tuple[float | None, float | None, float | None, Interval | None, float | None]:
    """Return both areas, their difference, its interval and its p-value."""
    if a.labels.all() or not a.labels.any():
        return None, None, None, None, None
    placed_a, placed_b = (_placed_in_order(samples) for samples in (a, b))
    difference = placed_b.auc - placed_a.auc
    if np.array_equal(a.scores, b.scores):
        return placed_a.auc, placed_b.auc, 0.0, Interval(0.0, 0.0, level, "identical scores"), 1.0
    gaps = Placements(placed_b.nsfw - placed_a.nsfw, placed_b.sfw - placed_a.sfw, difference)
    # The variance of the difference, covariance and all, is that of the differences of the placements.
    variance = delong_variance(gaps)
    if variance > 0:
        deviation = math.sqrt(variance)
        half = normal_quantile(level) * deviation
        interval = Interval(difference - half, difference + half, level, "DeLong, paired")
        return placed_a.auc, placed_b.auc, difference, interval, normal_p_value(difference / deviation)
    return placed_a.auc, placed_b.auc, difference, _square_and_add(placed_a, placed_b, level), None


def _placed_in_order(samples: Samples) -> Placements:
    """Return the placements in the samples' own order, in which two sets of scores can be paired."""
    nsfw, sfw = samples.scores[samples.labels], samples.scores[~samples.labels]
    nsfw_order, sfw_order = np.argsort(nsfw), np.argsort(sfw)
    placed = placements(nsfw[nsfw_order], sfw[sfw_order])
    paired = Placements(np.empty_like(placed.nsfw), np.empty_like(placed.sfw), placed.auc)
    paired.nsfw[nsfw_order] = placed.nsfw
    paired.sfw[sfw_order] = placed.sfw
    return paired


def _square_and_add(placed_a: Placements, placed_b: Placements, level: float) -> Interval:
    """Return a difference's interval from those of its terms (Newcombe, Statistics in Medicine 17, 1998, method 10)."""
    a, b = (interval_of(placed, level) for placed in (placed_a, placed_b))
    difference = placed_b.auc - placed_a.auc
    down = math.hypot(placed_b.auc - b.low, a.high - placed_a.auc)
    up = math.hypot(b.high - placed_b.auc, placed_a.auc - a.low)
    return Interval(max(difference - down, -1.0), min(difference + up, 1.0), level, "Newcombe")


def _correlation(a: Scores, b: Scores) -> float:
    # A constant's deviations would be rounding errors, and their correlation any number.
    if a.min() == a.max() or b.min() == b.max():
        return math.nan
    deviation_a, deviation_b = a - a.mean(), b - b.mean()
    return float(deviation_a @ deviation_b / math.sqrt((deviation_a @ deviation_a) * (deviation_b @ deviation_b)))
