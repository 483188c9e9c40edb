"""Intervals of the measures that have no formula for theirs: bootstraps, sorted once for all resamples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nsfw_caffe.evaluate.intervals import Interval
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.evaluate.reliability import Calibration
from nsfw_caffe.evaluate.resampling import Statistic, bootstrap, rows_of
from nsfw_caffe.evaluate.samples import Samples

Weights = npt.NDArray[np.int64]


def average_precision_interval(samples: Samples, options: Options) -> Interval:
    """Return the interval of the average precision.

    Parameters
    ----------
    samples : Samples
        Of both classes.
    options : Options
        Its level, resamples and seed count.
    """
    return _bootstrap(samples, _average_precision(samples), options)


def brier_interval(samples: Samples, options: Options) -> Interval:
    """Return the interval of the Brier score; parameters as for `average_precision_interval`."""
    labels, scores, _ = rows_of(samples)
    errors = (scores - labels) ** 2

    def brier(_labels: object, _scores: object, *, sample_weight: Weights) -> float:
        return float(errors @ sample_weight) / len(samples)

    return _bootstrap(samples, brier, options)


def ece_interval(samples: Samples, found: Calibration, options: Options) -> Interval:
    """Return the interval of the expected calibration error over bins of one width.

    Chance alone makes the error of a sample too large, and that of a resample once more as much: the percentiles of
    resamples would lie too high. Their distances from the sample's error, taken to its other side, make up for that
    (the basic bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2). It begins at
    0 where perfect scores would give an error as large in these bins. In a simulation it
    held the truth in 93 % of 300 cases with 5,000 samples, and in 83 % with 500.

    Parameters
    ----------
    samples : Samples
        Of both classes.
    found : Calibration
        Of these samples, with the options' bins.
    options : Options
        Its level, resamples and seed count, and its bins.
    """
    drawn = _bootstrap(samples, _ece(samples, options.bins), options)
    low, high = (max(2 * found.ece - end, 0.0) for end in (drawn.high, drawn.low))
    if found.ece <= _largest_by_chance(found, options):
        low = 0.0
    return Interval(low, high, options.level, drawn.method.replace("bootstrap", "basic bootstrap"))


def _largest_by_chance(found: Calibration, options: Options) -> float:
    """Return the error that perfect scores exceed by chance as rarely as the level says."""
    filled = found.counts > 0
    counts, means = found.counts[filled], found.mean_score[filled].clip(0, 1)
    rng = np.random.default_rng(options.seed)
    nsfw = rng.binomial(counts, means, (options.resamples, len(counts)))
    errors = np.abs(nsfw - counts * means).sum(axis=1) / counts.sum()
    return float(np.quantile(errors, options.level))


def _bootstrap(samples: Samples, statistic: Statistic, options: Options) -> Interval:
    # All three change with the share of nsfw, which in new data is another one by chance.
    return bootstrap(
        samples,
        statistic=statistic,
        resamples=options.resamples,
        level=options.level,
        seed=options.seed,
        stratified=False,
    )


def _average_precision(samples: Samples) -> Statistic:
    labels, scores, _ = rows_of(samples)
    order = np.argsort(-scores, kind="stable")
    labels, scores = labels[order], scores[order]
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True))  # of each distinct score, which is flagged as a whole

    def statistic(_labels: object, _scores: object, *, sample_weight: Weights) -> float:
        weights = sample_weight[order]
        flagged, found = np.cumsum(weights)[last], np.cumsum(weights * labels)[last]
        precision = found / np.maximum(flagged, 1)
        return float(np.diff(found, prepend=0) @ precision) / int(found[-1])

    return statistic


def _ece(samples: Samples, bins: int) -> Statistic:
    labels, scores, _ = rows_of(samples)
    places = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], scores)
    gaps = scores - labels

    def statistic(_labels: object, _scores: object, *, sample_weight: Weights) -> float:
        return float(np.abs(np.bincount(places, gaps * sample_weight)).sum()) / len(samples)

    return statistic
