"""Labelled scores of several kinds, and the plainest way to count them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from nsfw_caffe.evaluate.labelled import Labels, Scores


def separated(nsfw: int, sfw: int, *, digits: int | None = None, seed: int = 0) -> tuple[Labels, Scores]:
    """Return labels and scores that overlap, in random order; with few digits there are many ties."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([True, False], [nsfw, sfw]))
    scores = np.where(labels, rng.beta(4, 2, nsfw + sfw), rng.beta(1, 4, nsfw + sfw))
    return labels, scores if digits is None else scores.round(digits)


KINDS: dict[str, tuple[Labels, Scores]] = {
    "random": separated(40, 70),
    "many ties": separated(50, 60, digits=1),
    "few nsfw": separated(3, 90, digits=2, seed=3),
    "one score": (np.array([True, False, True, False, False]), np.full(5, 0.25)),
    "separated": (np.array([False, False, True, True, True]), np.array([0.0, 0.1, 0.9, 0.9, 1.0])),
    "reversed": (np.array([True, True, True, False, False]), np.array([0.0, 0.1, 0.2, 0.9, 1.0])),
    "two, apart": (np.array([True, False]), np.array([1.0, 0.0])),
    "two, equal": (np.array([True, False]), np.array([0.5, 0.5])),
}


def thresholds(scores: Scores) -> list[float]:
    """Return every threshold that can matter, ascending: the distinct scores, and one above them all."""
    return [*sorted(set(scores.tolist())), float("inf")]


def count(labels: Labels, scores: Scores, threshold: float) -> tuple[int, int, int, int]:
    """Return true positives, false positives, true negatives and false negatives, one sample after the other."""
    counts = dict.fromkeys(itertools.product([True, False], repeat=2), 0)
    for label, score in zip(labels.tolist(), scores.tolist(), strict=True):
        counts[label, score >= threshold] += 1
    return counts[True, True], counts[False, True], counts[False, False], counts[True, False]


def rates(labels: Labels, scores: Scores) -> Iterator[tuple[float, float, float]]:
    """Yield each threshold, ascending, with its false positive rate and its false negative rate."""
    for threshold in thresholds(scores):
        found, alarms, passed, missed = count(labels, scores, threshold)
        yield threshold, alarms / (alarms + passed), missed / (found + missed)


def area(labels: Labels, scores: Scores) -> float:
    """Return the share of pairs of an nsfw and an sfw sample in order, ties counting half."""
    pairs = list(itertools.product(scores[labels].tolist(), scores[~labels].tolist()))
    return sum(1.0 if nsfw > sfw else 0.5 if nsfw == sfw else 0.0 for nsfw, sfw in pairs) / len(pairs)
