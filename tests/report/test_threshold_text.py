from __future__ import annotations

import math

import numpy as np
import pytest

from nsfw_caffe.report.rates import threshold


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.2, "0.2"),
        (0.3, "0.3"),
        (1.0, "1"),
        (0.0, "0"),
        (math.inf, "above every score"),
        (0.9999999999, "0.999999999"),
    ],
)
def test_thresholds(value: float, text: str) -> None:
    assert threshold(value) == text


def test_a_threshold_as_written_takes_the_same_scores() -> None:
    """Scores are float32: the next lower one is further away than what is cut off."""
    scores = np.random.default_rng(1).random(20_000).astype(np.float32) ** 8
    below = np.nextafter(scores, np.float32(0))
    for score, lower in zip(scores.tolist(), below.tolist(), strict=True):
        assert lower < float(threshold(score)) <= score
