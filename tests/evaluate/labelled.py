"""Labelled scores for tests of whole evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np

from nsfw_caffe.evaluate.labelled import LabelledScores


def simulated(samples: int = 400, seed: int = 1, **others: Any) -> LabelledScores:
    """Return scores of a third nsfw that are mostly right."""
    rng = np.random.default_rng(seed)
    labels = rng.random(samples) < 1 / 3
    scores = np.where(labels, rng.beta(4, 1.2, samples), rng.beta(0.6, 6, samples))
    return LabelledScores(labels, scores, **others)


def of(labels: str, scores: list[float], **others: Any) -> LabelledScores:
    """Return samples from a text of n (nsfw) and s (sfw)."""
    return LabelledScores(np.array([label == "n" for label in labels]), np.array(scores), **others)
