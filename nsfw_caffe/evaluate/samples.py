"""Labels and scores, checked once and sorted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.labelled import Labels, Scores


class Samples:
    """Labels with their scores, which the functions of this package take in place of the two arrays.

    They are checked when it is made and sorted when that is needed first, once for all figures of the same data. The
    arrays are not copied where their types fit; do not change them afterwards.

    Parameters
    ----------
    labels : array_like
        bool or integers, (n,): 1 or True for nsfw, 0 or False for sfw.
    scores : array_like
        Real numbers, (n,): NSFW probabilities, 0 to 1.

    Attributes
    ----------
    labels : numpy.ndarray
        bool, (n,).
    scores : numpy.ndarray
        float64, (n,).

    Raises
    ------
    EvaluationError
        If there is nothing, or the lengths differ, or a label or a score is none; the message says where.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import Samples, precision_recall, roc
    >>> samples = Samples([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> len(samples), samples.nsfw.tolist()
    (4, [0.35, 0.8])
    >>> roc(samples).auc, round(precision_recall(samples).average_precision, 4)
    (0.75, 0.8333)
    """

    def __init__(self, labels: npt.ArrayLike, scores: npt.ArrayLike) -> None:
        self.labels = _checked_labels(np.asarray(labels))
        self.scores = _checked_scores(np.asarray(scores))
        if len(self.labels) != len(self.scores):
            raise EvaluationError(
                f"{len(self.labels)} labels and {len(self.scores)} scores: every sample needs one of each"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def nsfw(self) -> Scores:
        """The scores of the nsfw samples, ascending."""
        return np.sort(self.scores[self.labels])

    @cached_property
    def sfw(self) -> Scores:
        """The scores of the sfw samples, ascending."""
        return np.sort(self.scores[~self.labels])

    def in_two_runs(self) -> tuple[Labels, Scores]:
        """Return the samples as sfw and nsfw, each ascending: a stable sort of them takes linear time."""
        labels = np.repeat([False, True], [len(self.sfw), len(self.nsfw)])
        return labels, np.concatenate([self.sfw, self.nsfw])

    def need_both(self, what: str) -> Samples:
        """Return the samples, or refuse those of one class for what is defined with both alone."""
        for name, missing, scores in (("sfw", "nsfw", self.nsfw), ("nsfw", "sfw", self.sfw)):
            if not len(scores):
                raise EvaluationError(
                    f"there are only {name} samples: {what} needs both classes; add labelled {missing} pictures"
                )
        return self


def samples_of(labels: npt.ArrayLike | Samples, scores: npt.ArrayLike | None) -> Samples:
    """Return the Samples that a public function was called with, or make them of its two arrays; TypeError for both."""
    if isinstance(labels, Samples):
        if scores is not None:
            raise TypeError("expected Samples alone, or labels and scores")
        return labels
    if scores is None:
        raise TypeError("expected labels and scores, or Samples")
    return Samples(labels, scores)


@dataclass(frozen=True)
class Mistake:
    """A sample on the wrong side of the others of its class; `index` is its place in the data."""

    index: int
    source: str | None
    score: float


def worst(samples: Samples, sources: Sequence[str] | None, count: int, *, nsfw: bool) -> tuple[Mistake, ...]:
    """Return up to `count` samples of a class that are farthest on the other's side, the worst first."""
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


def _checked_labels(labels: npt.NDArray[np.generic]) -> Labels:
    _check_shape("labels", labels)
    if labels.dtype == np.bool_:
        return labels.astype(np.bool_, copy=False)
    if not np.issubdtype(labels.dtype, np.integer):
        raise EvaluationError(f"labels of type {labels.dtype}: expected bool, or the integers 1 (nsfw) and 0 (sfw)")
    nsfw: Labels = np.equal(labels, 1)
    odd = ~nsfw & np.not_equal(labels, 0)
    if odd.any():
        first = int(odd.argmax())
        raise EvaluationError(f"label {first} is {labels[first]}: expected 1 (nsfw) or 0 (sfw)")
    return nsfw


def _checked_scores(scores: npt.NDArray[np.generic]) -> Scores:
    _check_shape("scores", scores)
    if not (np.issubdtype(scores.dtype, np.floating) or np.issubdtype(scores.dtype, np.integer)):
        raise EvaluationError(f"scores of type {scores.dtype}: expected real numbers from 0 to 1")
    checked = scores.astype(np.float64, copy=False)
    good = (checked >= 0) & (checked <= 1)  # false for a NaN
    if not good.all():
        first = int(good.argmin())
        raise EvaluationError(
            f"score {first} is {checked[first]}: expected a probability from 0 to 1; leave out samples without a score"
        )
    return checked


def _check_shape(name: str, values: npt.NDArray[np.generic]) -> None:
    if values.ndim != 1:
        raise EvaluationError(f"{name} of shape {values.shape}: expected one dimension")
    if not len(values):
        raise EvaluationError(f"no {name}: expected at least one sample")
