from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss

from nsfw_caffe.evaluate import Samples, bootstrap, calibration
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.evaluate.uncertainty import average_precision_interval, brier_interval, ece_interval
from tests.evaluate.labelled import simulated

QUICK = Options(resamples=100, seed=3)


@pytest.mark.parametrize("decimals", [15, 1])
def test_the_same_as_with_scikit_learns_measures(decimals: int) -> None:
    data = simulated(300)
    samples = Samples(data.labels, data.scores.round(decimals))
    for statistic, interval in (
        (average_precision_score, average_precision_interval),
        (brier_score_loss, brier_interval),
    ):
        theirs = bootstrap(samples, statistic=statistic, resamples=100, seed=3, stratified=False)
        ours = interval(samples, QUICK)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
        assert (ours.level, ours.method) == (0.95, "bootstrap")


def test_the_calibration_errors_interval_written_out() -> None:
    data = simulated(300)
    samples = Samples(data.labels, data.scores)
    found = calibration(samples, bins=5)

    def ece(labels: Any, scores: Any, *, sample_weight: Any) -> float:
        gaps = sample_weight * (scores - labels)
        sums = [gaps[(scores > start / 5) & (scores <= (start + 1) / 5)].sum() for start in range(5)]
        return float(np.abs(sums).sum() / sample_weight.sum())

    drawn = bootstrap(samples, statistic=ece, resamples=100, seed=3, stratified=False)
    interval = ece_interval(samples, found, Options(resamples=100, seed=3, bins=5))
    expected = (2 * found.ece - drawn.high, 2 * found.ece - drawn.low)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-12)
    assert interval.low > 0
    assert interval.method == "basic bootstrap"


def perfect(rng: np.random.Generator, samples: int) -> Samples:
    scores = rng.beta(0.7, 0.9, samples)
    return Samples(rng.random(samples) < scores, scores)


def test_perfect_scores_may_be_perfect() -> None:
    # The true error is 0, and at a level of 95 % about 95 of 100 intervals begin there: 88 or fewer are 3 sigma off.
    rng = np.random.default_rng(0)
    samples = [perfect(rng, 1000) for _ in range(100)]
    lows = [ece_interval(each, calibration(each), QUICK).low for each in samples]
    assert 88 < sum(low == 0 for low in lows) < 100


def test_the_intervals_hold_the_truth() -> None:
    large = perfect(np.random.default_rng(1), 1_000_000)
    truth = average_precision_score(large.labels, large.scores), brier_score_loss(large.labels, large.scores)
    held = np.zeros(2)
    rng = np.random.default_rng(2)
    for seed in range(150):
        samples = perfect(rng, 1000)
        options = Options(resamples=150, seed=seed)
        intervals = average_precision_interval(samples, options), brier_interval(samples, options)
        held += [interval.low <= true <= interval.high for interval, true in zip(intervals, truth, strict=True)]
    assert np.all((held / 150 > 0.89) & (held / 150 < 0.99))
