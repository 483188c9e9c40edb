"""Whether scores can be read as probabilities."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.intervals import LEVEL, Interval, wilson
from nsfw_caffe.evaluate.libraries import load
from nsfw_caffe.evaluate.samples import Samples, samples_of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """How many of the samples with about a score are nsfw.

    Attributes
    ----------
    edges : numpy.ndarray
        float64, (k + 1,): where the bins begin and end. A score on an inner edge is of the lower bin, as in
        scikit-learn's `calibration_curve`.
    counts, nsfw_counts : numpy.ndarray
        int64, (k,): how many samples a bin has, and how many of these are nsfw.
    mean_score, fraction_nsfw : numpy.ndarray
        float64, (k,): the mean of a bin's scores, and the share of nsfw among them; nan where the bin is empty.
    intervals : tuple of Interval
        k of them: Wilson's, of the shares; 0 to 1 where the bin is empty.
    brier : float
        The Brier score: the mean of (score - label) squared, 0 for perfect scores.
    ece : float
        The expected calibration error: the mean over samples of their bin's |mean_score - fraction_nsfw|.
    """

    edges: Floats
    counts: npt.NDArray[np.int64]
    nsfw_counts: npt.NDArray[np.int64]
    mean_score: Floats
    fraction_nsfw: Floats
    intervals: tuple[Interval, ...]
    brier: float
    ece: float


def calibration(
    labels: npt.ArrayLike | Samples,
    scores: npt.ArrayLike | None = None,
    *,
    bins: int = 15,
    strategy: str = "uniform",
    level: float = LEVEL,
) -> Calibration:
    """Compare scores with the shares of nsfw samples that have them; it works with one class too.

    Parameters
    ----------
    labels, scores
        See `Samples`.
    bins : int, default 15
        How many bins; 15 is Guo and others' (ICML 2017), who brought the error into use.
    strategy : str, default "uniform"
        "uniform" for bins of one width, "quantile" for bins of as many samples each; where many samples have one score,
        there are fewer of these.
    level : float, default 0.95
        Of the intervals.

    Raises
    ------
    EvaluationError
        If the samples are unusable, or `bins` is less than 1, or `strategy` is none of these, or scikit-learn is not
        installed.
    """
    samples = samples_of(labels, scores)
    if bins < 1:
        raise EvaluationError(f"bins={bins}: expected 1 or more")
    edges = _edges(samples, bins, strategy)
    counts, sums = np.zeros((2, len(edges) - 1), np.int64), np.zeros(len(edges) - 1)
    for of_class, values in zip(counts, (samples.sfw, samples.nsfw), strict=True):
        ends = [0, *np.searchsorted(values, edges[1:-1], "right"), len(values)]
        of_class += np.diff(ends)
        sums += [values[start:end].sum() for start, end in itertools.pairwise(ends)]
    total, nsfw = counts.sum(axis=0), counts[1]
    with np.errstate(invalid="ignore"):  # 0 / 0 where a bin is empty
        mean_score, fraction_nsfw = sums / total, nsfw / total
    return Calibration(
        edges,
        total,
        nsfw,
        mean_score,
        fraction_nsfw,
        tuple(wilson(int(part), int(whole), level=level) for part, whole in zip(nsfw, total, strict=True)),
        float(load("sklearn.metrics").brier_score_loss(samples.labels, samples.scores, pos_label=True)),
        float(np.abs(sums - nsfw).sum() / len(samples)),
    )


def _edges(samples: Samples, bins: int, strategy: str) -> Floats:
    shares = np.linspace(0, 1, bins + 1)
    if strategy == "uniform":
        return shares
    if strategy == "quantile":
        edges = np.unique(np.quantile(samples.scores, shares))
        return edges if len(edges) > 1 else np.repeat(edges, 2)
    raise EvaluationError(f'strategy={strategy!r}: expected "uniform" or "quantile"')
