"""The bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.intervals import LEVEL, Interval, check_level
from nsfw_caffe.evaluate.labelled import Labels, Scores
from nsfw_caffe.evaluate.samples import Samples, samples_of

if TYPE_CHECKING:
    from nsfw_caffe.evaluate.options import Options

EXACT_LIMIT = 100_000
"""Up to so many samples every one of them is drawn from; of more, counts in SCORE_BINS bins of scores."""

SCORE_BINS = 4096
"""How many bins, about: half of them hold equally many nsfw samples each, the others equally many sfw samples."""

RESAMPLES = 1000

Counts = npt.NDArray[np.int64]
Statistic = Callable[..., float]
"""Called as statistic(labels, scores, sample_weight=counts), as scikit-learn's metrics are."""


def bootstrap(
    labels: npt.ArrayLike | Samples,
    scores: npt.ArrayLike | None = None,
    *,
    statistic: Statistic,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
    stratified: bool = True,
) -> Interval:
    """Return the percentile interval of any statistic (Efron and Tibshirani, 1993, chapter 13).

    With few samples of a class it is too narrow: of a true area of 0.983 under the ROC curve, it held in 90 % of
    simulations at a level of 95 % with 50 nsfw and 200 sfw samples. The accelerated one (BCa) did no better there, and
    needs an evaluation more for every distinct sample. Where there is an interval made for a figure, take that.

    Parameters
    ----------
    labels, scores
        See `Samples`.
    statistic : callable
        Called as ``statistic(labels, scores, sample_weight=counts)``, as scikit-learn's metrics are: `roc_auc_score`,
        `average_precision_score`, `brier_score_loss`. It gets each distinct pair of a label and a score once, with how
        often the resample has it, which may be 0. Of more than 100,000 samples it gets some 4,096 bins of scores,
        each with the mean of its scores, and the interval's method says so.
    resamples : int, default 1000
        How many resamples are drawn.
    level : float, default 0.95
        Of confidence.
    seed : int, default 0
        Of the random numbers: the same seed gives the same interval.
    stratified : bool, default True
        Draw as many samples of each class as there are. Else any are drawn, and a resample of one class is drawn again.

    Raises
    ------
    EvaluationError
        If the samples are unusable or of one class, or there are less than two resamples, or the statistic gives a NaN.

    Examples
    --------
    >>> from sklearn.metrics import roc_auc_score
    >>> from nsfw_caffe.evaluate import bootstrap
    >>> scores = [number / 20 for number in range(20)]
    >>> interval = bootstrap([0] * 8 + [1, 0] * 2 + [1] * 8, scores, statistic=roc_auc_score, resamples=200)
    >>> 0.8 < interval.low < 0.97 < interval.high <= 1
    True
    """
    samples = samples_of(labels, scores).need_both("a bootstrap")
    check_level(level)
    if resamples < 2:
        raise EvaluationError(f"resamples={resamples}: expected 2 or more, 1000 for example")
    row_labels, row_scores, counts = rows_of(samples)
    draws = _draws(row_labels, counts, resamples, np.random.default_rng(seed), stratified)
    values = np.array([statistic(row_labels, row_scores, sample_weight=drawn) for drawn in draws])
    if np.isnan(values).any():
        raise EvaluationError("the statistic is nan for a resample: a bootstrap needs one that is always defined")
    return percentile_interval(values, level, len(samples))


def bootstrap_unstratified(samples: Samples, statistic: Callable[[Counts], float], options: Options) -> Interval:
    """Return the interval of what changes with the share of nsfw, which in new data is another one by chance.

    `statistic` is called with how often a resample has each of the rows that `rows_of` gives.
    """

    def of_counts(_labels: Labels, _scores: Scores, *, sample_weight: Counts) -> float:
        return statistic(sample_weight)

    resamples, level, seed = options.resamples, options.level, options.seed
    return bootstrap(samples, statistic=of_counts, resamples=resamples, level=level, seed=seed, stratified=False)


def percentile_interval(values: npt.NDArray[np.float64], level: float, samples: int) -> Interval:
    """Return the interval that leaves as many values of a bootstrap below it as above; its method says the bins."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    method = "bootstrap" if samples <= EXACT_LIMIT else f"bootstrap of {SCORE_BINS} bins"
    return Interval(float(low), float(high), level, method)


def rows_of(samples: Samples) -> tuple[Labels, Scores, Counts]:
    """Return labels, scores and counts: sfw then nsfw, ascending, each distinct score or each bin once."""
    classes = (samples.sfw, samples.nsfw)
    exact = len(samples) <= EXACT_LIMIT
    values = [np.unique(scores, return_counts=True) for scores in classes] if exact else _binned(classes)
    scores, counts = zip(*values, strict=True)
    return np.repeat([False, True], [len(part) for part in scores]), np.concatenate(scores), np.concatenate(counts)


def resample(rng: np.random.Generator, counts: Counts) -> Counts:
    """Draw as many samples as there are, with replacement; return how many of each row."""
    total = int(counts.sum())
    if total > EXACT_LIMIT:
        return rng.multinomial(total, counts / total)
    row_of_sample = np.repeat(np.arange(len(counts)), counts)
    return np.bincount(row_of_sample[rng.integers(0, total, total)], minlength=len(counts))


def _draws(
    labels: Labels, counts: Counts, resamples: int, rng: np.random.Generator, stratified: bool
) -> Iterator[Counts]:
    sfw = int(np.searchsorted(labels, True))
    parts = (counts[:sfw], counts[sfw:]) if stratified else (counts,)
    while resamples:
        drawn = np.concatenate([resample(rng, part) for part in parts])
        if drawn[:sfw].any() and drawn[sfw:].any():
            resamples -= 1
            yield drawn


def _binned(classes: tuple[Scores, Scores]) -> list[tuple[Scores, Counts]]:
    """Return the bins' mean scores and each class's counts of them, without the bins that a class is not in."""
    edges = np.unique(np.concatenate([scores[:: math.ceil(len(scores) * 2 / SCORE_BINS)] for scores in classes]))
    counts = []
    sums = np.zeros(len(edges))
    for scores in classes:
        starts = np.searchsorted(scores, edges)
        counts.append(np.diff(starts, append=len(scores)))
        filled = np.flatnonzero(counts[-1])
        sums[filled] += np.add.reduceat(scores, starts[filled])
    # Rounding must not take a bin's mean below its lowest score, into the bin before.
    means = np.maximum(sums / (counts[0] + counts[1]), edges)
    return [(means[of_class > 0], of_class[of_class > 0]) for of_class in counts]
