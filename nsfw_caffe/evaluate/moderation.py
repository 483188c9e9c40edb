"""What a policy of two thresholds does: pass, block, or ask a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.error_rates import confusion
from nsfw_caffe.evaluate.intervals import LEVEL, Share
from nsfw_caffe.evaluate.samples import Samples, samples_of
from nsfw_caffe.results.record import THRESHOLDS


@dataclass(frozen=True)
class Policy:
    """How many samples each part of a policy takes; every share has a count, a total, a value and an interval.

    Attributes
    ----------
    low, high : float
        Scores below `low` pass, scores of `high` or more are blocked, those between go to a person.
    passed, reviewed, blocked : Share
        Of all samples.
    nsfw_passed, nsfw_reviewed, nsfw_blocked : Share
        Of the nsfw samples.
    sfw_passed, sfw_reviewed, sfw_blocked : Share
        Of the sfw samples.
    """

    low: float
    high: float
    passed: Share
    reviewed: Share
    blocked: Share
    nsfw_passed: Share
    nsfw_reviewed: Share
    nsfw_blocked: Share
    sfw_passed: Share
    sfw_reviewed: Share
    sfw_blocked: Share


def policy(
    labels: npt.ArrayLike | Samples,
    scores: npt.ArrayLike | None = None,
    *,
    low: float = THRESHOLDS[0],
    high: float = THRESHOLDS[-1],
    level: float = LEVEL,
) -> Policy:
    """Count what passes, what is blocked and what a person has to see; it works with one class too.

    Parameters
    ----------
    labels, scores
        See `Samples`.
    low, high : float
        0.2 and 0.8, unless others are given: the model's authors call scores below 0.2 safe and those above 0.8 very
        probably nsfw.
    level : float, default 0.95
        Of the intervals.

    Raises
    ------
    EvaluationError
        If the samples are unusable, or `low` is more than `high`.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import policy
    >>> found = policy([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> found.passed.count, found.reviewed.count, found.blocked.count
    (1, 2, 1)
    >>> found.nsfw_passed.value
    0.0
    """
    samples = samples_of(labels, scores)
    if not low <= high:
        raise EvaluationError(f"low={low}, high={high}: expected low to be high or less")
    at_low, at_high = (confusion(samples, threshold=threshold) for threshold in (low, high))
    nsfw = (at_low.false_negatives, at_low.true_positives - at_high.true_positives, at_high.true_positives)
    sfw = (at_low.true_negatives, at_low.false_positives - at_high.false_positives, at_high.false_positives)
    both = (part + other for part, other in zip(nsfw, sfw, strict=True))
    return Policy(
        low,
        high,
        *(Share(count, len(samples), level) for count in both),
        *(Share(count, at_low.nsfw, level) for count in nsfw),
        *(Share(count, at_low.sfw, level) for count in sfw),
    )
