"""Everything that a comparison says of two sets of scores of the same sources, in one piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.delong import auc_interval
from nsfw_caffe.evaluate.intervals import LEVEL, Interval
from nsfw_caffe.evaluate.labelled import LabelledScores, Labels, Scores
from nsfw_caffe.evaluate.paired import Comparison, compare
from nsfw_caffe.results.record import SetUp

CELLS = 50
"""Of each axis of the grid of scores."""

FEW = 1000
"""Samples up to which each is kept, to be drawn as a dot."""

CHANGES = 100
"""How many changes of verdict are named."""


@dataclass(frozen=True)
class Change:
    """A sample whose verdict differs.

    Attributes
    ----------
    index : int
        Its place in the data.
    source : str or None
        Its name, where the data has names.
    nsfw : bool
        Its label.
    score_a, score_b : float
        Its scores.
    """

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
    set_ups_a, set_ups_b : tuple of SetUp
        What the scores were made with, where that is known.
    versions : tuple of str
        Of this library that made them, where that is known.
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
    set_ups_a: tuple[SetUp, ...]
    set_ups_b: tuple[SetUp, ...]
    versions: tuple[str, ...]


def compare_runs(a: LabelledScores, b: LabelledScores, *, threshold: float = 0.5, level: float = LEVEL) -> RunsCompared:
    """Compare two sets of scores of the same labelled sources, in the same order.

    Parameters
    ----------
    a, b : LabelledScores
        The samples; where both have names, these have to be the same.
    threshold : float, default 0.5
        A sample is taken for nsfw where its score is this or more.
    level : float, default 0.95
        Of the interval.

    Raises
    ------
    EvaluationError
        If the samples are unusable, or those of `a` are not those of `b`; the message says which differ.
    """
    _check_same(a, b)
    figures = compare(a.labels, a.scores, b.scores, threshold, level=level)
    labels, scores_a, scores_b = np.asarray(a.labels), np.asarray(a.scores), np.asarray(b.scores)
    few = len(labels) <= FEW
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
        auc_interval_a=_auc_interval(labels, scores_a, level),
        auc_interval_b=_auc_interval(labels, scores_b, level),
        figures=figures,
        changes=tuple(
            Change(
                place,
                None if sources is None else sources[place],
                bool(labels[place]),
                float(scores_a[place]),
                float(scores_b[place]),
            )
            for place in changed[order[:CHANGES]].tolist()
        ),
        grid=grid.astype(np.int64),
        dots_a=scores_a[: len(labels) if few else 0],
        dots_b=scores_b[: len(labels) if few else 0],
        set_ups_a=tuple(a.set_ups),
        set_ups_b=tuple(b.set_ups),
        versions=tuple(dict.fromkeys((*a.versions, *b.versions))),
    )


def _auc_interval(labels: Labels, scores: Scores, level: float) -> Interval | None:
    return auc_interval(labels, scores, level=level) if labels.any() and not labels.all() else None


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
